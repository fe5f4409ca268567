SELECT endpoint_id, width_ms, from_ms, requests, failures, times
FROM endpoint_slices
WHERE endpoint_id = $1 AND width_ms = $2 AND from_ms >= $3
ORDER BY from_ms
