INSERT INTO runs (id, account_id, endpoint_id, stream_id, spec, state, stop_wanted, created_at_ms,
    before_id, trigger_name, changes)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)
