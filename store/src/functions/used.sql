SELECT owner_id, function_id, link_id, grant_id, service_id, key_id,
    CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(failures) AS BIGINT) AS failures,
    CAST(SUM(faults) AS BIGINT) AS faults, CAST(SUM(duration_ms) AS BIGINT) AS duration_ms,
    CAST(SUM(memory_mib_ms) AS BIGINT) AS memory_mib_ms
FROM function_usage
WHERE payer_id = $1 AND hour_ms >= $2 AND hour_ms < $3
GROUP BY owner_id, function_id, link_id, grant_id, service_id, key_id
ORDER BY owner_id, function_id, link_id, grant_id, service_id, key_id
