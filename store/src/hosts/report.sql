UPDATE hosts
SET generation = $2, cpu_milli = $3, memory_bytes = $4, data_address = $5, features = $6,
    seen_at_ms = $7, functions_socket = $8, fleet = $9, functions_memory_bytes = $10,
    lost = 0
WHERE id = $1 AND generation <= $2
