SELECT item_id, number, object_id, package_sha256, package_bytes, manifest, listing, files,
    signature, signed_by, lineage, created_at_ms
FROM versions
WHERE item_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3
