INSERT INTO logs (subject, seq, at_ms, source, level, text, origin, origin_seq)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
