INSERT INTO objects
    (id, account_id, bytes, sha256, media_type, sealed_key, key_version, chunks, sequence,
    created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
