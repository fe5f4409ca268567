-- Streams of events, variants of endpoints and how they are used, and replays.

CREATE TABLE streams (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    spec          TEXT   NOT NULL, -- JSON: how it is kept
    gateway       TEXT,            -- the one that writes it; null until there was a first event
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (account_id, name)
);

-- A variant is an endpoint that is reached through another.
ALTER TABLE endpoints ADD COLUMN variant_of TEXT REFERENCES endpoints (id);
ALTER TABLE endpoints ADD COLUMN variant TEXT NOT NULL DEFAULT 'main';
DROP INDEX endpoints_by_name;
CREATE UNIQUE INDEX endpoints_by_name ON endpoints (account_id, name, variant) WHERE deleting = 0;

-- How the variants of an endpoint were used, from when on, and why. The newest holds.
CREATE TABLE endpoint_modes (
    endpoint_id TEXT   NOT NULL REFERENCES endpoints (id),
    number      BIGINT NOT NULL CHECK (number >= 1),
    modes       TEXT   NOT NULL, -- JSON
    decided_by  TEXT   NOT NULL, -- who or what
    reason      TEXT   NOT NULL,
    at_ms       BIGINT NOT NULL CHECK (at_ms >= 0),
    PRIMARY KEY (endpoint_id, number)
);

CREATE TABLE endpoint_gates (
    endpoint_id TEXT NOT NULL PRIMARY KEY REFERENCES endpoints (id),
    gate        TEXT NOT NULL -- JSON
);

-- What each variant answered since it is there.
CREATE TABLE endpoint_counts (
    endpoint_id TEXT   NOT NULL PRIMARY KEY,
    requests    BIGINT NOT NULL CHECK (requests >= 0),
    failures    BIGINT NOT NULL CHECK (failures >= 0)
);

-- What had been counted when a bake began.
CREATE TABLE endpoint_bakes (
    endpoint_id TEXT   NOT NULL PRIMARY KEY REFERENCES endpoints (id),
    number      BIGINT NOT NULL CHECK (number >= 1), -- of the change that began it
    began       TEXT   NOT NULL -- JSON: the counts
);

CREATE TABLE runs (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    endpoint_id   TEXT   NOT NULL,
    stream_id     TEXT   NOT NULL,
    spec          TEXT   NOT NULL, -- JSON: what was asked for
    state         TEXT   NOT NULL CHECK (state IN
        ('waiting', 'running', 'succeeded', 'stopped', 'failed')),
    stop_wanted   BIGINT NOT NULL CHECK (stop_wanted IN (0, 1)),
    gateway       TEXT,   -- the one that sends it; null until one has begun
    progress      TEXT,   -- JSON: how far it is; null until it was told
    outcome       TEXT,   -- JSON: what was measured; null while it runs
    error         TEXT,   -- in words
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    ended_at_ms   BIGINT  -- null while it runs
);

CREATE INDEX runs_by_account ON runs (account_id, id);
CREATE INDEX runs_by_endpoint ON runs (endpoint_id, id);
CREATE INDEX runs_by_state ON runs (state) WHERE ended_at_ms IS NULL;
