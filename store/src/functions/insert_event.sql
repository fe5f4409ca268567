INSERT INTO function_events
    (id, function_id, qualifier, payload, state, attempts, failures, due_at_ms, accepted_at_ms,
        history, webhook, told)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
WHERE EXISTS (SELECT 1 FROM functions WHERE id = $2)
ON CONFLICT (id) DO NOTHING
