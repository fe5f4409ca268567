UPDATE hosts
SET lost = 1
WHERE id = $1 AND seen_at_ms = $2 AND lost = 0
