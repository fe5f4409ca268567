UPDATE functions
SET versions = versions + 1, generation = generation + 1
WHERE id = $1 AND generation = $2
