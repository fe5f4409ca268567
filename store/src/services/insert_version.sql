INSERT INTO service_versions (service_id, number, spec, created_at_ms)
VALUES ($1, $2, $3, $4)
