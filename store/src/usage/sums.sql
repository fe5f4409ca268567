SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS requests,
    CAST(COALESCE(SUM(failures), 0) AS BIGINT) AS failures,
    CAST(COALESCE(SUM(trainings), 0) AS BIGINT) AS trainings,
    COUNT(DISTINCT CASE WHEN caller <> '' THEN caller END) AS accounts
FROM usage_counts
WHERE item_id = $1
