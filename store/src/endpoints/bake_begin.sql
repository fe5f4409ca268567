INSERT INTO endpoint_bakes (endpoint_id, number, began, since_ms)
VALUES ($1, $2, $3, $4)
ON CONFLICT (endpoint_id) DO UPDATE
SET number = $2, began = $3, since_ms = $4
WHERE endpoint_bakes.number <> $2 OR endpoint_bakes.since_ms <> $4
