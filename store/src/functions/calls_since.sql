SELECT link_id, grant_id, key_id, CAST(SUM(calls) AS BIGINT) AS calls
FROM function_usage
WHERE hour_ms >= $1 AND hour_ms < $2 AND (link_id <> '' OR key_id <> '')
GROUP BY link_id, grant_id, key_id
ORDER BY link_id, grant_id, key_id
