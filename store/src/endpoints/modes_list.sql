SELECT endpoint_id, number, modes, decided_by, reason, at_ms
FROM endpoint_modes
WHERE endpoint_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3
