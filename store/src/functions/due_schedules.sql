SELECT function_id, name, spec, start_ms, due_at_ms
FROM function_schedules
WHERE due_at_ms <= $1
ORDER BY due_at_ms, function_id, name
LIMIT $2
