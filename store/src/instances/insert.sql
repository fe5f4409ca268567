INSERT INTO instances
    (id, account_id, owner, stage, host_id, generation, reported_generation, wanted, state, task,
    report, cpu_milli, memory_bytes, created_at_ms, changed_at_ms, ended_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
