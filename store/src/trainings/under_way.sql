SELECT id, account_id, request, resolved, state, progress_ppm, instance_id, model_item,
    model_version, error, error_code, cancel_wanted, created_at_ms, ended_at_ms
FROM trainings
WHERE account_id = $1 AND state IN ('waiting', 'running', 'publishing')
ORDER BY id
