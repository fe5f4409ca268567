SELECT id, name, generation, cpu_milli, memory_bytes, data_address, features, seen_at_ms, local,
    functions_socket, fleet, lost
FROM hosts
WHERE id = $1
