UPDATE function_schedules
SET due_at_ms = $4
WHERE function_id = $1 AND name = $2 AND due_at_ms = $3
