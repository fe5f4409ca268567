SELECT id, function_id, number, object_id, spec, description, created_at_ms
FROM function_revisions
WHERE function_id = $1 AND number = $2
