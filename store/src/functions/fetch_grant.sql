SELECT id, account_id, name, function_id, spec, generation, created_at_ms
FROM function_grants
WHERE account_id = $1 AND name = $2
