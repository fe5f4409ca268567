UPDATE instances
SET wanted = 'gone', generation = generation + 1, changed_at_ms = $2
WHERE id = $1 AND wanted = 'running'
