INSERT INTO usage_counts (item_id, version, endpoint_id, caller, requests, failures, trainings)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (item_id, version, endpoint_id, caller) DO UPDATE
SET requests = usage_counts.requests + $5,
    failures = usage_counts.failures + $6,
    trainings = usage_counts.trainings + $7
