UPDATE endpoints
SET state = 'ready', error = NULL, served_source = source, served_stages = resolved,
    served_type = instance_type, served_at_ms = $3
WHERE id = $1 AND generation = $2 AND deleting = 0
