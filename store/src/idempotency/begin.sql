INSERT INTO idempotency (account_id, key, fingerprint, status, body, created_at_ms)
VALUES ($1, $2, $3, NULL, NULL, $4)
ON CONFLICT (account_id, key) DO UPDATE SET created_at_ms = $4
WHERE idempotency.status IS NULL
    AND idempotency.fingerprint = $3
    AND idempotency.created_at_ms < $5
