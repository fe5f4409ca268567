SELECT service_id, number, spec, created_at_ms
FROM service_versions
ORDER BY service_id, number
