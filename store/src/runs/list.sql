SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms, before_id, trigger_name, changes
FROM runs
WHERE account_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
