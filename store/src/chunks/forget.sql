WITH RECURSIVE wanted (place) AS (
    SELECT 0
    UNION ALL
    SELECT place + 1 FROM wanted WHERE place + 1 < $3
)
DELETE FROM condemned_chunks
WHERE account_id = $1
    AND state = 'deleting'
    AND chunk IN (SELECT substr($2, place * 64 + 1, 64) FROM wanted)
