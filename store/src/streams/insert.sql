INSERT INTO streams (id, account_id, name, spec, generation, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
