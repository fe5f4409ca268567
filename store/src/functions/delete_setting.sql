DELETE FROM function_settings
WHERE function_id = $1 AND kind = $2 AND qualifier = $3
