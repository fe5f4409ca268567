INSERT INTO endpoint_bakes (endpoint_id, number, began)
VALUES ($1, $2, $3)
ON CONFLICT (endpoint_id) DO UPDATE
SET number = $2, began = $3
WHERE endpoint_bakes.number <> $2
