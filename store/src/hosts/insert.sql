INSERT INTO hosts
    (id, name, generation, cpu_milli, memory_bytes, data_address, features, seen_at_ms, local,
    functions_socket, fleet, lost, functions_memory_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)
