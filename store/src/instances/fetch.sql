SELECT id, account_id, owner, stage, host_id, generation, reported_generation, wanted, state, task,
    report, cpu_milli, memory_bytes, created_at_ms, changed_at_ms, ended_at_ms
FROM instances
WHERE id = $1
