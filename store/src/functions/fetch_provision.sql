SELECT p.revision_id, r.function_id, p.host_id, p.wanted, r.spec, p.starting, p.ready, p.trouble
FROM function_provisions p
JOIN function_revisions r ON r.id = p.revision_id
WHERE p.revision_id = $1 AND p.host_id = $2
