INSERT INTO endpoint_notices
    (id, endpoint_id, firing, place, kind, recipient, subject, payload, state, attempts, failures,
    due_at_ms, accepted_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', 0, 0, $9, $10)
