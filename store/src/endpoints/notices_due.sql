SELECT n.id, n.endpoint_id, n.firing, n.place, n.kind, n.recipient, n.subject, n.payload, n.state,
    n.attempts, n.failures, n.due_at_ms, n.accepted_at_ms, n.error, its.account_id, accounts.name AS account_name
FROM endpoint_notices AS n
JOIN endpoints AS its ON its.id = n.endpoint_id
JOIN accounts ON accounts.id = its.account_id
WHERE n.state IN ('waiting', 'running') AND n.due_at_ms <= $1
ORDER BY n.due_at_ms, n.id
LIMIT $2
