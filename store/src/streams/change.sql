UPDATE streams
SET spec = $3, generation = generation + 1
WHERE id = $1 AND generation = $2
