INSERT INTO function_sources
    (id, account_id, function_id, qualifier, stream_id, spec, generation, created_at_ms,
    changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
