SELECT function_id, name, version, other_version, other_share, max_stale_ms, description,
    generation, changed_at_ms
FROM function_aliases
ORDER BY function_id, name
