SELECT id, account_id, bytes, sha256, media_type, sealed_key, key_version, chunks, sequence,
    created_at_ms
FROM objects
WHERE id = $1
