SELECT function_id, name, version, other_version, other_share, max_stale_ms, description,
    generation, changed_at_ms
FROM function_aliases
WHERE function_id = $1 AND name > $2
ORDER BY name
LIMIT $3
