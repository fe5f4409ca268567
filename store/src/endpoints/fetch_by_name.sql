SELECT id, account_id, name, source, resolved, instance_type, sharing, state, error, generation,
    deleting, created_at_ms, served_source, served_stages, served_type, served_at_ms,
    variant_of, variant
FROM endpoints
WHERE account_id = $1 AND name = $2 AND variant = $3 AND deleting = 0
