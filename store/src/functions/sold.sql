SELECT function_id, grant_id,
    CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(failures) AS BIGINT) AS failures,
    CAST(SUM(faults) AS BIGINT) AS faults, CAST(SUM(duration_ms) AS BIGINT) AS duration_ms,
    CAST(SUM(memory_mib_ms) AS BIGINT) AS memory_mib_ms
FROM function_usage
WHERE owner_id = $1 AND hour_ms >= $2 AND hour_ms < $3 AND grant_id <> ''
GROUP BY function_id, grant_id
ORDER BY function_id, grant_id
