WITH RECURSIVE wanted (place) AS (
    SELECT 0
    UNION ALL
    SELECT place + 1 FROM wanted WHERE place + 1 < $3
)
INSERT INTO condemned_chunks (account_id, chunk, state, at_ms)
SELECT $1, substr($2, place * 64 + 1, 64), 'condemned', $4
FROM wanted
WHERE TRUE
ON CONFLICT DO NOTHING
