SELECT id, function_id, number, object_id, spec, description, created_at_ms
FROM function_revisions
WHERE number IS NOT NULL
    AND function_id IN (SELECT function_id FROM function_settings WHERE kind = $1)
ORDER BY function_id, number
