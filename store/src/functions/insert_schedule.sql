INSERT INTO function_schedules (function_id, name, spec, start_ms, due_at_ms)
VALUES ($1, $2, $3, $4, $5)
