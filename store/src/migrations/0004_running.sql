-- What runs: publishings, trainings, endpoints, hosts and instances, and what they say.

CREATE TABLE publishes (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    object_id     TEXT   NOT NULL,
    state         TEXT   NOT NULL CHECK (state IN ('running', 'published', 'failed')),
    step          TEXT   NOT NULL,
    name          TEXT,            -- null until the manifest was read
    item_id       TEXT,
    version       BIGINT,
    sharing       TEXT   NOT NULL, -- JSON: what the producer asked for
    error         TEXT,            -- in words
    error_code    TEXT,            -- and as the word that programs match on
    instance_id   TEXT,            -- the instance that proves the package
    training_id   TEXT,            -- the training it came from
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    ended_at_ms   BIGINT,          -- null while it runs
    CHECK ((error IS NULL) = (error_code IS NULL))
);

CREATE INDEX publishes_by_account ON publishes (account_id, id);

CREATE TABLE trainings (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    request       TEXT   NOT NULL, -- JSON: what was asked for
    resolved      TEXT   NOT NULL, -- JSON: the versions that were found
    state         TEXT   NOT NULL CHECK (state IN
        ('waiting', 'running', 'publishing', 'succeeded', 'failed', 'cancelled')),
    progress_ppm  BIGINT CHECK (progress_ppm BETWEEN 0 AND 1000000),
    instance_id   TEXT,
    model_item    TEXT,
    model_version BIGINT,
    error         TEXT,            -- in words
    error_code    TEXT,            -- and as the word that programs match on
    cancel_wanted BIGINT NOT NULL CHECK (cancel_wanted IN (0, 1)),
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    ended_at_ms   BIGINT,          -- null while it runs
    CHECK ((error IS NULL) = (error_code IS NULL))
);

CREATE INDEX trainings_by_account ON trainings (account_id, id);

CREATE TABLE endpoints (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    source        TEXT   NOT NULL, -- a reference, with the version that was found
    resolved      TEXT   NOT NULL, -- JSON: the stages
    instance_type TEXT   NOT NULL,
    sharing       TEXT   NOT NULL CHECK (sharing IN ('nobody', 'accounts', 'everybody')),
    state         TEXT   NOT NULL CHECK (state IN ('starting', 'ready', 'failed', 'deleting')),
    error         TEXT,
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every wanted change
    deleting      BIGINT NOT NULL CHECK (deleting IN (0, 1)),
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    served_source TEXT, -- what is routed: after an update the old, until all of the new is ready
    served_stages TEXT,
    served_type   TEXT,
    served_at_ms  BIGINT -- since when; these four are null until it is ready for the first time
);

-- A name is free again as soon as its endpoint is being deleted.
CREATE UNIQUE INDEX endpoints_by_name ON endpoints (account_id, name) WHERE deleting = 0;

-- The accounts that may call an endpoint whose sharing is 'accounts'.
CREATE TABLE endpoint_grants (
    endpoint_id TEXT NOT NULL REFERENCES endpoints (id),
    account_id  TEXT NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (endpoint_id, account_id)
);

CREATE TABLE hosts (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    generation   BIGINT NOT NULL CHECK (generation >= 0), -- starts of its agent
    cpu_milli    BIGINT NOT NULL CHECK (cpu_milli >= 0),
    memory_bytes BIGINT NOT NULL CHECK (memory_bytes >= 0),
    data_address TEXT,            -- where gateways on other hosts reach its instances
    features     TEXT   NOT NULL, -- JSON
    seen_at_ms   BIGINT NOT NULL CHECK (seen_at_ms >= 0), -- 0 until it reported
    local        BIGINT NOT NULL CHECK (local IN (0, 1)), -- in the control plane's process
    certificate  TEXT             -- SHA-256 of its certificate
);

CREATE TABLE instances (
    id                  TEXT   NOT NULL PRIMARY KEY,
    account_id          TEXT   NOT NULL REFERENCES accounts (id),
    owner               TEXT   NOT NULL, -- the id of an endpoint, training or publishing
    stage               BIGINT NOT NULL CHECK (stage >= 0),
    host_id             TEXT   NOT NULL REFERENCES hosts (id),
    generation          BIGINT NOT NULL CHECK (generation >= 1), -- of what is wanted
    reported_generation BIGINT NOT NULL CHECK (reported_generation >= 0), -- of the last report
    wanted              TEXT   NOT NULL CHECK (wanted IN ('running', 'gone')),
    state               TEXT   NOT NULL
        CHECK (state IN ('waiting', 'starting', 'ready', 'ended', 'failed')),
    task                TEXT   NOT NULL, -- JSON
    report              TEXT,            -- JSON; null until there is one
    cpu_milli           BIGINT NOT NULL CHECK (cpu_milli >= 0),
    memory_bytes        BIGINT NOT NULL CHECK (memory_bytes >= 0),
    created_at_ms       BIGINT NOT NULL CHECK (created_at_ms >= 0),
    changed_at_ms       BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    ended_at_ms         BIGINT           -- null while it holds its resources
);

CREATE INDEX instances_by_host ON instances (host_id, wanted);
CREATE INDEX instances_by_owner ON instances (owner, stage);
CREATE INDEX instances_by_end ON instances (ended_at_ms);

-- Lines of publishings, trainings, endpoints and instances; the subject is the id's text.
CREATE TABLE logs (
    subject    TEXT   NOT NULL,
    seq        BIGINT NOT NULL CHECK (seq >= 1),
    at_ms      BIGINT NOT NULL,
    source     TEXT   NOT NULL,
    level      TEXT   NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    text       TEXT   NOT NULL,
    origin     TEXT   NOT NULL, -- who numbered the line; '' where nobody did
    origin_seq BIGINT NOT NULL, -- its number there
    PRIMARY KEY (subject, seq)
);
