SELECT id, account_id, name, source, resolved, instance_type, sharing, state, error, generation,
    deleting, created_at_ms, served_source, served_stages, served_type, served_at_ms,
    variant_of, variant
FROM endpoints
WHERE (id = $1 OR variant_of = $1) AND deleting = 0
ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END, id
