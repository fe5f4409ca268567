INSERT INTO versions
    (item_id, number, object_id, package_sha256, package_bytes, manifest, listing, files,
    signature, signed_by, lineage, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
