SELECT id, function_id, qualifier, payload, state, attempts, failures, due_at_ms, accepted_at_ms,
    history, webhook, told
FROM function_events
WHERE id = $1
