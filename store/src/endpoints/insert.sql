INSERT INTO endpoints
    (id, account_id, name, source, resolved, instance_type, sharing, state, error, generation,
    deleting, created_at_ms, variant_of, variant)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
