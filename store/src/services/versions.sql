SELECT service_id, number, spec, created_at_ms
FROM service_versions
WHERE service_id = $1 AND number > $2
ORDER BY number
LIMIT $3
