SELECT number, at_ms, version, host_id, spec
FROM function_size_steps
WHERE function_id = $1
ORDER BY number DESC
LIMIT $2
