SELECT endpoint_id, name, spec, live, state, changes, modes_number, firing, created_by,
    created_at_ms
FROM endpoint_triggers
WHERE live = 1
ORDER BY endpoint_id, name
