SELECT id, function_id, number, object_id, spec, description, created_at_ms
FROM function_revisions
WHERE id = $1
