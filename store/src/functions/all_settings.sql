SELECT function_id, kind, qualifier, spec, changed_at_ms
FROM function_settings
ORDER BY function_id, kind, qualifier
