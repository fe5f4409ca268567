-- Functions: code that is called, each of its revisions, and the numbered versions among these.

CREATE TABLE functions (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    latest_id     TEXT   NOT NULL, -- the revision that a call without a qualifier runs
    versions      BIGINT NOT NULL CHECK (versions >= 0), -- numbers given out so far
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    changed_at_ms BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    UNIQUE (account_id, name)
);

CREATE TABLE function_revisions (
    id              TEXT   NOT NULL PRIMARY KEY,
    function_id     TEXT   NOT NULL REFERENCES functions (id),
    number          BIGINT CHECK (number >= 1), -- null for what is, or was, the latest
    object_id       TEXT   NOT NULL, -- the package
    spec            TEXT   NOT NULL, -- JSON: runtime, handler, limits, environment
    description     TEXT   NOT NULL,
    created_at_ms   BIGINT NOT NULL CHECK (created_at_ms >= 0),
    replaced_at_ms  BIGINT, -- null while it can be called
    UNIQUE (function_id, number)
);

CREATE INDEX function_revisions_by_replacement ON function_revisions (replaced_at_ms);

-- Where gateways on the same host call functions.
ALTER TABLE hosts ADD COLUMN functions_socket TEXT;
