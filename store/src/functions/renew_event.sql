UPDATE function_events
SET due_at_ms = $3
WHERE id = $1 AND attempts = $2 AND state = 'running'
