-- Live requests that are kept as events, and functions that are fed from streams.

CREATE TABLE endpoint_captures (
    endpoint_id   TEXT   NOT NULL PRIMARY KEY REFERENCES endpoints (id),
    stream_id     TEXT   NOT NULL, -- of the same account
    spec          TEXT   NOT NULL, -- JSON: which requests, and what of them
    changed_at_ms BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    kept          BIGINT NOT NULL DEFAULT 0 CHECK (kept >= 0),      -- since it was first set
    no_room       BIGINT NOT NULL DEFAULT 0 CHECK (no_room >= 0),   -- too many waited already
    elsewhere     BIGINT NOT NULL DEFAULT 0 CHECK (elsewhere >= 0), -- another gateway has the stream
    failed        BIGINT NOT NULL DEFAULT 0 CHECK (failed >= 0)     -- the stream did not take them
);

CREATE INDEX endpoint_captures_by_stream ON endpoint_captures (stream_id);

CREATE TABLE function_sources (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    function_id   TEXT   NOT NULL REFERENCES functions (id),
    qualifier     TEXT   NOT NULL, -- a version or alias; empty for the latest
    stream_id     TEXT   NOT NULL,
    spec          TEXT   NOT NULL, -- JSON: how events are given to the function
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    changed_at_ms BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    delivered     BIGINT NOT NULL DEFAULT 0 CHECK (delivered >= 0), -- events that the function took
    filtered      BIGINT NOT NULL DEFAULT 0 CHECK (filtered >= 0),  -- events that it is not for
    given_up      BIGINT NOT NULL DEFAULT 0 CHECK (given_up >= 0),  -- events told as failed
    next_event    BIGINT NOT NULL DEFAULT 0 CHECK (next_event >= 0), -- number of the first not done
    result        TEXT   NOT NULL DEFAULT ''  -- how it went last, in words
);

CREATE INDEX function_sources_by_account ON function_sources (account_id, id);
CREATE INDEX function_sources_by_function ON function_sources (function_id);
CREATE INDEX function_sources_by_stream ON function_sources (stream_id);
