SELECT account_id, kind, version, sealed
FROM account_secrets
WHERE account_id = $1
ORDER BY kind, version
