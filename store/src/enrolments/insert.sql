INSERT INTO enrolments (token_sha256, process, name, expires_at_ms, used_at_ms)
VALUES ($1, $2, $3, $4, $5)
