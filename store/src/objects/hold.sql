INSERT INTO object_holders (object_id, holder)
VALUES ($1, $2)
ON CONFLICT DO NOTHING
