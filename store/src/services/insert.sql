INSERT INTO services (id, account_id, name, newest, generation, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
