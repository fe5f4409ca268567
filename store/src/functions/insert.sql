INSERT INTO functions
    (id, account_id, name, latest_id, versions, generation, created_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
