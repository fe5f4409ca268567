UPDATE trainings
SET progress_ppm = $2
WHERE id = $1 AND state IN ('waiting', 'running', 'publishing')
