INSERT INTO endpoint_slices (endpoint_id, width_ms, from_ms, requests, failures, times)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (endpoint_id, width_ms, from_ms) DO UPDATE
SET requests = $4, failures = $5, times = $6
