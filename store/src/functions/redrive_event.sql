UPDATE function_events
SET state = 'waiting', failures = 0, told = 0, due_at_ms = $3, accepted_at_ms = $3
WHERE id = $1 AND function_id = $2 AND state = 'dead'
