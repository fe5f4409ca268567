INSERT INTO endpoint_triggers
    (endpoint_id, name, spec, live, state, changes, modes_number, firing, created_by, created_at_ms)
VALUES ($1, $2, $3, $4, $5, 0, $6, 0, $7, $8)
