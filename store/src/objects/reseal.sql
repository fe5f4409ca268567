UPDATE objects
SET sealed_key = $2, key_version = $3
WHERE id = $1 AND key_version < $3
