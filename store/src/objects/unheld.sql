SELECT id, account_id, bytes, sha256, media_type, sealed_key, key_version, chunks, sequence,
    created_at_ms
FROM objects
WHERE created_at_ms < $1
    AND NOT EXISTS (SELECT 1 FROM object_holders WHERE object_holders.object_id = objects.id)
ORDER BY created_at_ms, id
LIMIT $2
