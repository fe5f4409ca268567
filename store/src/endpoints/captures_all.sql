SELECT endpoint_id, stream_id, spec, changed_at_ms, kept, no_room, elsewhere, failed
FROM endpoint_captures
