SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms
FROM runs
WHERE judged = 0 AND ended_at_ms IS NOT NULL AND judge_at_ms <= $2
    AND EXISTS (
        SELECT 1 FROM endpoint_triggers AS its
        WHERE its.endpoint_id = runs.endpoint_id AND its.live = 0
            AND its.created_at_ms <= runs.ended_at_ms
    )
ORDER BY judge_at_ms, ended_at_ms, id
LIMIT $1
