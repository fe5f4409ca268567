UPDATE trainings
SET state = $2, instance_id = $3, model_item = $4, model_version = $5, error = $6, ended_at_ms = $7
WHERE id = $1 AND state IN ('waiting', 'running', 'publishing')
