SELECT id, name, generation, cpu_milli, memory_bytes, data_address, features, seen_at_ms, local,
    functions_socket, fleet, lost, functions_memory_bytes
FROM hosts
ORDER BY name
