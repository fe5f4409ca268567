SELECT function_id, owner_id, grant_name, spec
FROM function_links
ORDER BY function_id
