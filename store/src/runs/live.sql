WITH RECURSIVE earlier (id, before_id) AS (
    SELECT id, before_id FROM runs WHERE ended_at_ms IS NULL AND before_id IS NOT NULL
    UNION
    SELECT earlier.id, its.before_id
    FROM earlier JOIN runs AS its ON its.id = earlier.before_id
    WHERE its.before_id IS NOT NULL
)
SELECT id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, gateway, progress,
    outcome, error, created_at_ms, ended_at_ms, before_id, trigger_name, changes
FROM runs
WHERE ended_at_ms IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM earlier JOIN runs AS its ON its.id = earlier.before_id
        WHERE earlier.id = runs.id AND its.ended_at_ms IS NULL
    )
ORDER BY id
