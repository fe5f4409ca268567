SELECT id, account_id, name, kind, sharing, newest, generation, created_at_ms
FROM items
WHERE id = $1
