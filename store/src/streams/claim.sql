UPDATE streams
SET gateway = $2
WHERE id = $1 AND gateway IS NULL
