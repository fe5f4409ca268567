UPDATE function_aliases
SET version = $3, other_version = $4, other_share = $5, max_stale_ms = $6, description = $7,
    generation = $8, changed_at_ms = $9
WHERE function_id = $1 AND name = $2 AND generation = $8 - 1
