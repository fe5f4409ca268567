INSERT INTO streams_removed (id, removed_at_ms)
SELECT id, $2
FROM streams
WHERE id = $1
