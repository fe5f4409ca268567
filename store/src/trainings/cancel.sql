UPDATE trainings
SET cancel_wanted = 1
WHERE id = $1 AND state IN ('waiting', 'running', 'publishing')
