UPDATE endpoint_captures
SET kept = kept + $2, no_room = no_room + $3, elsewhere = elsewhere + $4, failed = failed + $5
WHERE endpoint_id = $1
