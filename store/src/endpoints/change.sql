UPDATE endpoints
SET source = $3, resolved = $4, instance_type = $5, state = 'starting', error = NULL,
    generation = generation + 1
WHERE id = $1 AND generation = $2 AND deleting = 0
