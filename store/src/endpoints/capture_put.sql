INSERT INTO endpoint_captures (endpoint_id, stream_id, spec, changed_at_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT (endpoint_id) DO UPDATE
SET stream_id = $2, spec = $3, changed_at_ms = $4
