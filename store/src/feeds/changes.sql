SELECT sequence, subject
FROM changes
WHERE topic = $1 AND sequence > $2
ORDER BY sequence
LIMIT $3
