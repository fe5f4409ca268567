UPDATE enrolments
SET used_at_ms = $2
WHERE token_sha256 = $1 AND used_at_ms IS NULL AND expires_at_ms > $2
RETURNING token_sha256, process, name, expires_at_ms, used_at_ms
