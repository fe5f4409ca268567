INSERT INTO feeds (topic, generation, trimmed)
VALUES ($1, $2, 0)
ON CONFLICT (topic) DO UPDATE SET generation = feeds.generation + $2
RETURNING generation
