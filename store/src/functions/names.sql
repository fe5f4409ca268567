SELECT id, name
FROM functions
WHERE account_id = $1
ORDER BY id
