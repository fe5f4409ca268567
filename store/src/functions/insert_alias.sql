INSERT INTO function_aliases
    (function_id, name, version, other_version, other_share, max_stale_ms, description,
        generation, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
