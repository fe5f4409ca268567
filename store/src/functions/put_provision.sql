INSERT INTO function_provisions (revision_id, host_id, wanted, starting, ready, trouble)
VALUES ($1, $2, $3, 0, 0, '')
ON CONFLICT (revision_id, host_id)
DO UPDATE SET wanted = excluded.wanted
