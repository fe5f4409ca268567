SELECT function_id, name, spec, start_ms, due_at_ms
FROM function_schedules
WHERE function_id = $1 AND name > $2
ORDER BY name
LIMIT $3
