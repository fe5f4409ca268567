SELECT function_id, kind, qualifier, spec, changed_at_ms
FROM function_settings
WHERE kind = $1
ORDER BY changed_at_ms, function_id, qualifier
