SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms, before_id, trigger_name, changes
FROM runs
WHERE ended_at_ms IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM runs AS its WHERE its.id = runs.before_id AND its.ended_at_ms IS NULL
    )
ORDER BY id
