UPDATE function_sources
SET spec = $3, function_id = $4, qualifier = $5, changed_at_ms = $6, generation = generation + 1
WHERE id = $1 AND generation = $2
