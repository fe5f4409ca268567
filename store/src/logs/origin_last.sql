SELECT COALESCE(MAX(origin_seq), 0) AS number
FROM logs
WHERE subject = $1 AND origin = $2
