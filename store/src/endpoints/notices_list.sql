SELECT id, endpoint_id, firing, place, kind, recipient, subject, payload, state, attempts, failures,
    due_at_ms, accepted_at_ms, error
FROM endpoint_notices
WHERE endpoint_id = $1 AND firing >= $2 AND firing <= $3
ORDER BY firing, place
