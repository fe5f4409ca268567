SELECT id, function_id, qualifier, payload, state, attempts, failures, due_at_ms, accepted_at_ms,
    history, webhook, told
FROM function_events
WHERE function_id = $1 AND state = 'dead' AND id > $2
ORDER BY id
LIMIT $3
