UPDATE runs
SET gateway = $2, state = $3, progress = COALESCE($4, progress), outcome = $5, error = $6,
    ended_at_ms = $7, told_at_ms = $8
WHERE id = $1 AND ended_at_ms IS NULL AND (gateway IS NULL OR gateway = $2)
