SELECT services.id, services.account_id, services.name, services.newest, services.generation,
    services.created_at_ms, service_versions.spec
FROM services
JOIN service_versions
    ON service_versions.service_id = services.id AND service_versions.number = services.newest
WHERE services.account_id = $1 AND services.name = $2
