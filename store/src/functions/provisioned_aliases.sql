SELECT function_id, name, version, other_version, other_share, max_stale_ms, description,
    generation, changed_at_ms
FROM function_aliases
WHERE function_id IN (SELECT function_id FROM function_settings WHERE kind = $1)
ORDER BY function_id, name
