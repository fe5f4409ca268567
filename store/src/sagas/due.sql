SELECT id, kind, subject, state, step, phase, attempts, started_at_ms, due_at_ms, owner, error,
    generation
FROM sagas
WHERE phase IN ('forward', 'undoing', 'stuck') AND due_at_ms <= $1
ORDER BY due_at_ms, id
LIMIT $2
