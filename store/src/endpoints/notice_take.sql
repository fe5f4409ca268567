UPDATE endpoint_notices
SET state = 'running', attempts = attempts + 1, due_at_ms = $4
WHERE id = $1 AND attempts = $2 AND due_at_ms = $3 AND state IN ('waiting', 'running')
