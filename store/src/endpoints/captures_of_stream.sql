SELECT endpoints.name
FROM endpoint_captures
JOIN endpoints ON endpoints.id = endpoint_captures.endpoint_id
WHERE endpoint_captures.stream_id = $1 AND endpoints.deleting = 0
ORDER BY endpoints.name
LIMIT $2
