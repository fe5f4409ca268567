SELECT id, account_id, name, latest_id, versions, generation, created_at_ms, changed_at_ms
FROM functions
WHERE account_id = $1 AND name = $2
