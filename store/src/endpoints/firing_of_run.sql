SELECT endpoint_id, number, trigger_name, run_id, at_ms, told
FROM endpoint_firings
WHERE endpoint_id = $1 AND trigger_name = $2 AND run_id = $3
ORDER BY number DESC
LIMIT 1
