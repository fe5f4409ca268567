SELECT id, function_id, number, object_id, spec, description, created_at_ms
FROM function_revisions
WHERE replaced_at_ms IS NULL
ORDER BY function_id, number
