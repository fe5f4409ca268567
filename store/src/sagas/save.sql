UPDATE sagas
SET state = $2, step = $3, phase = $4, attempts = $5, due_at_ms = $6, owner = $7, error = $8,
    generation = $9
WHERE id = $1 AND generation + 1 = $9
