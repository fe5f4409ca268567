DELETE FROM idempotency
WHERE account_id = $1 AND key = $2 AND status IS NULL
