INSERT INTO sagas
    (id, kind, subject, state, step, phase, attempts, started_at_ms, due_at_ms, owner, error,
    generation)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
