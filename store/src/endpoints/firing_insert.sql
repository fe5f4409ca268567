INSERT INTO endpoint_firings (endpoint_id, number, trigger_name, run_id, at_ms, told)
VALUES ($1, $2, $3, $4, $5, $6)
