INSERT INTO accounts (id, name, operator, objects_sequence, chunk_claims, created_at_ms)
VALUES ($1, $2, $3, 0, 0, $4)
