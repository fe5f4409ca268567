INSERT INTO function_settings (function_id, kind, qualifier, spec, changed_at_ms)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (function_id, kind, qualifier)
DO UPDATE SET spec = excluded.spec, changed_at_ms = excluded.changed_at_ms
