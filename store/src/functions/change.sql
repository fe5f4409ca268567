UPDATE functions
SET latest_id = $3, generation = generation + 1, changed_at_ms = $4
WHERE id = $1 AND generation = $2
