SELECT seq, at_ms, source, level, text
FROM logs
WHERE subject = $1 AND seq > $2
ORDER BY seq
LIMIT $3
