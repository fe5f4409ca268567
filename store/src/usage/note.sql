INSERT INTO usage_reports (reporter, number, at_ms)
VALUES ($1, $2, $3)
ON CONFLICT (reporter) DO UPDATE SET number = $2, at_ms = $3
WHERE usage_reports.number < $2
