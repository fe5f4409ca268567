SELECT id, kind, subject, state, step, phase, attempts, started_at_ms, due_at_ms, owner, error,
    generation
FROM sagas
WHERE phase IN ('forward', 'undoing', 'stuck') AND owner = $1
ORDER BY id
