UPDATE accounts
SET objects_sequence = objects_sequence + 1
WHERE id = $1
RETURNING objects_sequence
