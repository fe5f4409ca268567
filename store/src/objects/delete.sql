DELETE FROM objects
WHERE id = $1
    AND NOT EXISTS (SELECT 1 FROM object_holders WHERE object_holders.object_id = $1)
