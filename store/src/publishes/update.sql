UPDATE publishes
SET state = $2, step = $3, name = $4, item_id = $5, version = $6, error = $7, instance_id = $8,
    ended_at_ms = $9
WHERE id = $1 AND state = 'running'
