UPDATE endpoint_triggers
SET state = $4, modes_number = $5, firing = $6, changes = changes + 1
WHERE endpoint_id = $1 AND name = $2 AND changes = $3
