INSERT INTO account_secrets (account_id, kind, version, sealed)
VALUES ($1, $2, $3, $4)
