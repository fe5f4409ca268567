SELECT p.revision_id, r.function_id, p.host_id, p.wanted, r.spec, p.starting, p.ready, p.trouble
FROM function_provisions p
JOIN function_revisions r ON r.id = p.revision_id
ORDER BY p.revision_id, p.host_id
