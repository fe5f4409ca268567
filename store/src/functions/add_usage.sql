INSERT INTO function_usage
    (hour_ms, payer_id, owner_id, function_id, link_id, grant_id, service_id, key_id, calls,
        failures, faults, duration_ms, memory_mib_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT
    (hour_ms, payer_id, owner_id, function_id, link_id, grant_id, service_id, key_id)
DO UPDATE
SET calls = function_usage.calls + $9,
    failures = function_usage.failures + $10,
    faults = function_usage.faults + $11,
    duration_ms = function_usage.duration_ms + $12,
    memory_mib_ms = function_usage.memory_mib_ms + $13
