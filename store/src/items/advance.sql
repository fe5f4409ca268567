UPDATE items
SET newest = $2, generation = generation + 1
WHERE id = $1 AND newest + 1 = $2
