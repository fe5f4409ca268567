SELECT endpoint_id, number, modes, decided_by, reason, at_ms
FROM endpoint_modes AS newest
WHERE number = (
    SELECT MAX(number) FROM endpoint_modes AS all_of_it
    WHERE all_of_it.endpoint_id = newest.endpoint_id
)
