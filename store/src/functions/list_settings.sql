SELECT kind, qualifier, spec, changed_at_ms
FROM function_settings
WHERE function_id = $1
ORDER BY kind, qualifier
