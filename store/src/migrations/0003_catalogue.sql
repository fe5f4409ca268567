-- The catalogue: items, who may see them, their immutable versions, and how much they are used.

CREATE TABLE items (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    kind          TEXT   NOT NULL
        CHECK (kind IN ('algorithm', 'dataset', 'model', 'pipeline', 'notebook')),
    sharing       TEXT   NOT NULL CHECK (sharing IN ('nobody', 'accounts', 'everybody')),
    newest        BIGINT NOT NULL CHECK (newest >= 0),     -- 0 until there is a version
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (account_id, name)
);

-- The accounts that may see an item whose sharing is 'accounts'.
CREATE TABLE item_grants (
    item_id    TEXT NOT NULL REFERENCES items (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (item_id, account_id)
);

CREATE INDEX item_grants_by_account ON item_grants (account_id, item_id);

-- Versions never change and are never deleted.
CREATE TABLE versions (
    item_id        TEXT   NOT NULL REFERENCES items (id),
    number         BIGINT NOT NULL CHECK (number >= 1),
    object_id      TEXT   NOT NULL REFERENCES objects (id),
    package_sha256 TEXT   NOT NULL CHECK (length(package_sha256) = 64),
    package_bytes  BIGINT NOT NULL CHECK (package_bytes >= 0),
    manifest       TEXT   NOT NULL, -- JSON
    listing        TEXT   NOT NULL, -- JSON
    files          TEXT   NOT NULL, -- JSON
    signature      TEXT   NOT NULL,
    signed_by      TEXT   NOT NULL,
    lineage        TEXT,            -- JSON; null where not trained here
    created_at_ms  BIGINT NOT NULL CHECK (created_at_ms >= 0),
    PRIMARY KEY (item_id, number)
);

-- Counts per version, endpoint and caller; never content.
CREATE TABLE usage_counts (
    item_id     TEXT   NOT NULL REFERENCES items (id),
    version     BIGINT NOT NULL CHECK (version >= 1),
    endpoint_id TEXT   NOT NULL, -- '' where it was not through an endpoint
    caller      TEXT   NOT NULL, -- '' where the caller has no account
    requests    BIGINT NOT NULL CHECK (requests >= 0),
    failures    BIGINT NOT NULL CHECK (failures >= 0),
    trainings   BIGINT NOT NULL CHECK (trainings >= 0),
    PRIMARY KEY (item_id, version, endpoint_id, caller)
);

-- The last report of each reporter, so that a repeated one counts once.
CREATE TABLE usage_reports (
    reporter TEXT   NOT NULL PRIMARY KEY,
    number   BIGINT NOT NULL CHECK (number >= 0),
    at_ms    BIGINT NOT NULL
);
