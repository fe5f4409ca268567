SELECT functions.id, functions.account_id, functions.name, functions.latest_id, functions.versions,
    functions.generation, functions.created_at_ms, functions.changed_at_ms,
    function_links.owner_id, function_links.grant_name, function_links.spec
FROM function_links
JOIN functions ON functions.id = function_links.function_id
WHERE functions.account_id = $1 AND functions.name > $2
ORDER BY functions.name
LIMIT $3
