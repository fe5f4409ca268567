SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms, before_id, trigger_name, changes
FROM runs
WHERE gated = 0 AND ended_at_ms <= $1 AND gate_at_ms <= $2
ORDER BY gate_at_ms, ended_at_ms, id
LIMIT $3
