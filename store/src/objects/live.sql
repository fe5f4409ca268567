SELECT id, sequence
FROM objects
WHERE account_id = $1 AND sequence > $2
ORDER BY sequence
LIMIT $3
