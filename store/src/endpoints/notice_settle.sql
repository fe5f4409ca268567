UPDATE endpoint_notices
SET state = $3, failures = $4, due_at_ms = $5, error = $6
WHERE id = $1 AND attempts = $2 AND state = 'running'
