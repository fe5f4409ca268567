SELECT id, account_id, name, spec, gateway, generation, created_at_ms
FROM streams
WHERE account_id = $1 AND name = $2
