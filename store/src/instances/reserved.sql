SELECT host_id, CAST(SUM(cpu_milli) AS BIGINT) AS cpu_milli,
    CAST(SUM(memory_bytes) AS BIGINT) AS memory_bytes, COUNT(*) AS instances
FROM instances
WHERE ended_at_ms IS NULL
GROUP BY host_id
