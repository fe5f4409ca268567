SELECT id, account_id, bytes, sha256, media_type, sealed_key, key_version, chunks, sequence,
    created_at_ms
FROM objects
WHERE account_id = $1 AND key_version < $2
ORDER BY sequence
LIMIT $3
