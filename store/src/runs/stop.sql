UPDATE runs
SET stop_wanted = 1,
    state = CASE WHEN gateway IS NULL THEN 'stopped' ELSE state END,
    ended_at_ms = CASE WHEN gateway IS NULL THEN CAST($2 AS BIGINT) ELSE ended_at_ms END
WHERE id = $1 AND ended_at_ms IS NULL
