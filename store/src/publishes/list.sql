SELECT id, account_id, object_id, state, step, name, item_id, version, sharing, error, error_code,
    instance_id, training_id, created_at_ms, ended_at_ms
FROM publishes
WHERE account_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
