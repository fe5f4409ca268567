SELECT functions.id, functions.account_id, functions.name, functions.latest_id, functions.versions,
    functions.generation, functions.created_at_ms, functions.changed_at_ms,
    function_revisions.object_id, function_revisions.spec, function_revisions.description,
    function_revisions.created_at_ms AS revised_at_ms
FROM functions
JOIN function_revisions ON function_revisions.id = functions.latest_id
WHERE functions.account_id = $1 AND functions.name > $2
ORDER BY functions.name
LIMIT $3
