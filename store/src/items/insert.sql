INSERT INTO items (id, account_id, name, kind, sharing, newest, generation, created_at_ms)
VALUES ($1, $2, $3, $4, $5, 0, $6, $7)
