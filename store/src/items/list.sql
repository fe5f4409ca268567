SELECT id, account_id, name, kind, sharing, newest, generation, created_at_ms
FROM items
WHERE account_id = $1 AND name > $2
ORDER BY name
LIMIT $3
