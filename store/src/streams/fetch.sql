SELECT id, account_id, name, spec, gateway, encrypted, generation, created_at_ms
FROM streams
WHERE account_id = $1 AND name = $2
