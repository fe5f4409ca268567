SELECT fingerprint, status, body
FROM idempotency
WHERE account_id = $1 AND key = $2
