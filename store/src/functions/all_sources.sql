SELECT id, account_id, function_id, qualifier, stream_id, spec, generation, created_at_ms, changed_at_ms,
    delivered, filtered, given_up, next_event, result
FROM function_sources
ORDER BY id
