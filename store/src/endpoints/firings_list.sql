SELECT endpoint_id, number, trigger_name, run_id, at_ms, told
FROM endpoint_firings
WHERE endpoint_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3
