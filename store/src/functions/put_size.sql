INSERT INTO function_sizes
    (revision_id, number, settled_kib, refused_kib, trial_host, trial_at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (revision_id)
DO UPDATE SET number = excluded.number, settled_kib = excluded.settled_kib,
    refused_kib = excluded.refused_kib, trial_host = excluded.trial_host,
    trial_at_ms = excluded.trial_at_ms
