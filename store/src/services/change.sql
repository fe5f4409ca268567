UPDATE services
SET newest = newest + 1, generation = generation + 1
WHERE id = $1 AND generation = $2
