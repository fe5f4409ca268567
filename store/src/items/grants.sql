WITH RECURSIVE wanted (place) AS (
    SELECT 0
    UNION ALL
    SELECT place + 1 FROM wanted WHERE place + 1 < $2
)
SELECT item_id, account_id
FROM item_grants
WHERE item_id IN (SELECT substr($1, place * 37 + 1, 37) FROM wanted)
