UPDATE trainings
SET state = $2, instance_id = $3, model_item = $4, model_version = $5, error = $6,
    error_code = $7, ended_at_ms = $8
WHERE id = $1 AND state IN ('waiting', 'running', 'publishing')
