UPDATE endpoints
SET deleting = 1, state = 'deleting', generation = generation + 1
WHERE (id = $1 OR variant_of = $1) AND deleting = 0
