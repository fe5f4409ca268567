SELECT endpoint_id, window_ms, terms, counted_at_ms, told
FROM endpoint_accuracies
WHERE endpoint_id = $1
ORDER BY window_ms, terms
