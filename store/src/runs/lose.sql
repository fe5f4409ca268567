UPDATE runs
SET state = CASE WHEN stop_wanted = 1 THEN 'stopped' ELSE 'failed' END, error = $2, ended_at_ms = $3
WHERE ended_at_ms IS NULL AND told_at_ms >= 1 AND told_at_ms < $1
