INSERT INTO function_size_steps (function_id, number, at_ms, version, host_id, spec)
VALUES ($1, $2, $3, $4, $5, $6)
