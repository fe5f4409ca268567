INSERT INTO trainings
    (id, account_id, request, resolved, state, progress_ppm, instance_id, model_item,
    model_version, error, error_code, cancel_wanted, created_at_ms, ended_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
