INSERT INTO publishes
    (id, account_id, object_id, state, step, name, item_id, version, sharing, error, error_code,
    instance_id, training_id, created_at_ms, ended_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
