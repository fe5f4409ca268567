INSERT INTO tokens
    (id, account_id, label, role, secret_sha256, created_at_ms, expires_at_ms, revoked_at_ms,
        access_key, sealed_secret)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
