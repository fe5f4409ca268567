INSERT INTO endpoint_accuracies (endpoint_id, window_ms, terms, counted_at_ms, told)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (endpoint_id, window_ms, terms) DO UPDATE
SET counted_at_ms = $4, told = $5
WHERE endpoint_accuracies.counted_at_ms <= $4
