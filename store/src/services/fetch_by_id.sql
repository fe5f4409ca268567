SELECT id, account_id, name, newest, generation, created_at_ms
FROM services
WHERE id = $1
