-- Triggers: what is watched of an endpoint's variants, what each variant answered lately, and what
-- was done when something came to be so.

CREATE TABLE endpoint_triggers (
    endpoint_id   TEXT   NOT NULL REFERENCES endpoints (id),
    name          TEXT   NOT NULL,
    spec          TEXT   NOT NULL, -- JSON: what is watched, and what is done
    live          BIGINT NOT NULL CHECK (live IN (0, 1)), -- 1 of live events, 0 of replays
    state         TEXT   NOT NULL CHECK (state IN ('armed', 'fired', 'blocked')),
    changes       BIGINT NOT NULL CHECK (changes >= 0), -- of its state; grows with each
    modes_number  BIGINT NOT NULL CHECK (modes_number >= 0), -- of the endpoint, when its state changed last
    firing        BIGINT NOT NULL CHECK (firing >= 0), -- the newest one's number; 0 where there is none
    created_by    TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    PRIMARY KEY (endpoint_id, name)
);

CREATE TABLE endpoint_firings (
    endpoint_id  TEXT   NOT NULL REFERENCES endpoints (id),
    number       BIGINT NOT NULL CHECK (number >= 1),
    trigger_name TEXT   NOT NULL,
    run_id       TEXT,            -- null for live events
    at_ms        BIGINT NOT NULL CHECK (at_ms >= 0),
    told         TEXT   NOT NULL, -- JSON: what it saw, and what was done
    PRIMARY KEY (endpoint_id, number)
);

-- A trigger fires once for a replay.
CREATE UNIQUE INDEX endpoint_firings_by_run ON endpoint_firings (endpoint_id, trigger_name, run_id)
    WHERE run_id IS NOT NULL;

-- Webhooks and addresses that are to be told of a firing.
CREATE TABLE endpoint_notices (
    id             TEXT   NOT NULL PRIMARY KEY,
    endpoint_id    TEXT   NOT NULL REFERENCES endpoints (id),
    firing         BIGINT NOT NULL CHECK (firing >= 1),
    place          BIGINT NOT NULL CHECK (place >= 0), -- of the action among the firing's
    kind           TEXT   NOT NULL CHECK (kind IN ('webhook', 'email')),
    recipient      TEXT   NOT NULL, -- a URL, or an address
    subject        TEXT   NOT NULL, -- one line
    payload        TEXT   NOT NULL, -- JSON, or text of an e-mail
    state          TEXT   NOT NULL CHECK (state IN ('waiting', 'running', 'told', 'failed')),
    attempts       BIGINT NOT NULL CHECK (attempts >= 0), -- that were begun
    failures       BIGINT NOT NULL CHECK (failures >= 0), -- that the recipient refused
    due_at_ms      BIGINT NOT NULL CHECK (due_at_ms >= 0), -- when it is told; while it is, when that is taken for lost
    accepted_at_ms BIGINT NOT NULL CHECK (accepted_at_ms >= 0),
    error          TEXT            -- how the last attempt failed
);

CREATE INDEX endpoint_notices_by_due ON endpoint_notices (due_at_ms)
    WHERE state IN ('waiting', 'running');
CREATE INDEX endpoint_notices_by_firing ON endpoint_notices (endpoint_id, firing);

-- What a variant answered within a stretch of time, without replays.
CREATE TABLE endpoint_slices (
    endpoint_id TEXT   NOT NULL, -- of the variant
    width_ms    BIGINT NOT NULL CHECK (width_ms >= 1),
    from_ms     BIGINT NOT NULL CHECK (from_ms >= 0),
    requests    BIGINT NOT NULL CHECK (requests >= 0),
    failures    BIGINT NOT NULL CHECK (failures >= 0),
    times       TEXT   NOT NULL, -- JSON: a sketch of microseconds
    PRIMARY KEY (endpoint_id, width_ms, from_ms)
);

CREATE INDEX endpoint_slices_by_time ON endpoint_slices (width_ms, from_ms);

-- Whether triggers were asked what they say of a replay that has ended.
ALTER TABLE runs ADD COLUMN judged BIGINT NOT NULL DEFAULT 0 CHECK (judged IN (0, 1));
CREATE INDEX runs_by_judged ON runs (endpoint_id) WHERE judged = 0 AND ended_at_ms IS NOT NULL;
