SELECT tokens.id, tokens.account_id, tokens.label, tokens.role, tokens.secret_sha256,
    tokens.created_at_ms, tokens.expires_at_ms, tokens.revoked_at_ms,
    tokens.access_key, tokens.sealed_secret, accounts.name AS account_name
FROM tokens
JOIN accounts ON accounts.id = tokens.account_id
WHERE tokens.revoked_at_ms IS NULL
    AND (tokens.expires_at_ms IS NULL OR tokens.expires_at_ms > $1)
ORDER BY tokens.id
