UPDATE account_secrets
SET sealed = $4
WHERE account_id = $1 AND kind = $2 AND version = $3 AND sealed = $5
