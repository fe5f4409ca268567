INSERT INTO endpoint_gates (endpoint_id, gate)
VALUES ($1, $2)
ON CONFLICT (endpoint_id) DO UPDATE
SET gate = $2
