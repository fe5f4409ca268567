UPDATE publishes
SET state = $2, step = $3, name = $4, item_id = $5, version = $6, error = $7, error_code = $8,
    instance_id = $9, ended_at_ms = $10
WHERE id = $1 AND state = 'running'
