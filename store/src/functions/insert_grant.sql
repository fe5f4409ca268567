INSERT INTO function_grants
    (id, account_id, name, function_id, spec, generation, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
