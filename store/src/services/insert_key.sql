INSERT INTO service_keys (id, service_id, name, secret_sha256, spec, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
