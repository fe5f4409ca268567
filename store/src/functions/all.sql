SELECT id, account_id, name, latest_id, versions, generation, created_at_ms, changed_at_ms
FROM functions
ORDER BY id
