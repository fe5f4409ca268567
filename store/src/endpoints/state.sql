UPDATE endpoints
SET state = $3, error = $4
WHERE id = $1 AND generation = $2 AND deleting = 0
