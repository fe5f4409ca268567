SELECT id, name, operator, created_at_ms
FROM accounts
WHERE id > $1
ORDER BY id
LIMIT $2
