SELECT id, service_id, name, secret_sha256, spec, created_at_ms
FROM service_keys
WHERE service_id = $1 AND name > $2
ORDER BY name
LIMIT $3
