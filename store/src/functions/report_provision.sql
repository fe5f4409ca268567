UPDATE function_provisions
SET starting = $3, ready = $4, trouble = $5
WHERE revision_id = $1 AND host_id = $2
