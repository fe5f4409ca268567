SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms, before_id, trigger_name, changes
FROM runs
WHERE endpoint_id = $1 AND ended_at_ms IS NULL AND stop_wanted = 0
ORDER BY id
LIMIT $2
