INSERT INTO endpoint_counts (endpoint_id, requests, failures)
VALUES ($1, $2, $3)
ON CONFLICT (endpoint_id) DO UPDATE
SET requests = endpoint_counts.requests + $2, failures = endpoint_counts.failures + $3
