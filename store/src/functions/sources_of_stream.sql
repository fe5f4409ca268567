SELECT DISTINCT functions.name
FROM function_sources
JOIN functions ON functions.id = function_sources.function_id
WHERE function_sources.stream_id = $1
ORDER BY functions.name
LIMIT $2
