SELECT id, service_id, name, secret_sha256, spec, created_at_ms
FROM service_keys
ORDER BY id
