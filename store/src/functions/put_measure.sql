INSERT INTO function_measures (revision_id, host_id, spec, measured_at_ms)
SELECT id, $2, $3, $4
FROM function_revisions
WHERE id = $1
ON CONFLICT (revision_id, host_id)
DO UPDATE SET spec = excluded.spec, measured_at_ms = excluded.measured_at_ms
