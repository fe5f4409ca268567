SELECT id, account_id, label, role, secret_sha256, created_at_ms, expires_at_ms, revoked_at_ms,
    access_key, sealed_secret
FROM tokens
WHERE id = $1 AND account_id = $2
