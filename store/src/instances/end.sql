UPDATE instances
SET state = $2, report = COALESCE($3, report), changed_at_ms = $4, ended_at_ms = $4
WHERE id = $1 AND ended_at_ms IS NULL
