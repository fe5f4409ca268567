SELECT id, function_id, qualifier, payload, state, attempts, failures, due_at_ms, accepted_at_ms,
    history, webhook, told
FROM function_events
WHERE state <> 'dead' AND due_at_ms <= $1
ORDER BY due_at_ms, id
LIMIT $2
