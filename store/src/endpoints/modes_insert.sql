INSERT INTO endpoint_modes (endpoint_id, number, modes, decided_by, reason, at_ms)
VALUES ($1, $2, $3, $4, $5, $6)
