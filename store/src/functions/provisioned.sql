SELECT id, account_id, name, latest_id, versions, generation, created_at_ms, changed_at_ms
FROM functions
WHERE id IN (SELECT function_id FROM function_settings WHERE kind = $1)
ORDER BY id
