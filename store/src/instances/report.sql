UPDATE instances
SET reported_generation = $2, state = $3, report = $4, changed_at_ms = $5,
    ended_at_ms = CASE WHEN $6 = 1 THEN $5 END
WHERE id = $1
    AND $2 <= generation
    AND ended_at_ms IS NULL
    AND (
        reported_generation < $2
        OR (
            reported_generation = $2
            AND (
                state = $3
                OR state = 'waiting'
                OR (state = 'starting' AND $3 <> 'waiting')
                OR (state = 'ready' AND $6 = 1)
            )
        )
    )
