INSERT INTO function_links (function_id, owner_id, grant_name, spec)
VALUES ($1, $2, $3, $4)
