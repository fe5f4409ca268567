UPDATE condemned_chunks
SET state = 'deleting', at_ms = $3
WHERE account_id = $1
    AND chunk IN (
        SELECT chunk
        FROM condemned_chunks
        WHERE account_id = $1
            AND (
                (state = 'condemned' AND at_ms < $2)
                OR (state = 'deleting' AND at_ms < $5)
            )
        ORDER BY at_ms, chunk
        LIMIT $4
    )
RETURNING chunk
