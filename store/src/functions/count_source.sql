UPDATE function_sources
SET delivered = delivered + $2, filtered = filtered + $3, given_up = given_up + $4,
    next_event = $5, result = $6
WHERE id = $1
