INSERT INTO function_revisions
    (id, function_id, number, object_id, spec, description, created_at_ms, replaced_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)
