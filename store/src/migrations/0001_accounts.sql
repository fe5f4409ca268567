-- Who owns things, and how callers prove who they are.
-- Two column types only, TEXT and BIGINT, so that both databases read this the same way.

-- The owners. Names never change.
CREATE TABLE accounts (
    id               TEXT   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL UNIQUE,
    operator         BIGINT NOT NULL CHECK (operator IN (0, 1)),
    objects_sequence BIGINT NOT NULL CHECK (objects_sequence >= 0), -- objects ever made
    chunk_claims     BIGINT NOT NULL CHECK (chunk_claims >= 0),     -- claims of chunks ever settled
    created_at_ms    BIGINT NOT NULL CHECK (created_at_ms >= 0)
);

-- Secrets of an account, sealed under the master key.
CREATE TABLE account_secrets (
    account_id TEXT   NOT NULL REFERENCES accounts (id),
    kind       TEXT   NOT NULL CHECK (kind IN ('dedup', 'key')),
    version    BIGINT NOT NULL CHECK (version >= 1),
    sealed     TEXT   NOT NULL,
    PRIMARY KEY (account_id, kind, version)
);

-- Bearer tokens, by the SHA-256 of their secrets.
CREATE TABLE tokens (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    label         TEXT   NOT NULL,
    role          TEXT   NOT NULL CHECK (role IN ('reader', 'developer', 'owner', 'operator')),
    secret_sha256 TEXT   NOT NULL UNIQUE CHECK (length(secret_sha256) = 64),
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    expires_at_ms BIGINT, -- never where null
    revoked_at_ms BIGINT  -- not revoked where null
);

CREATE INDEX tokens_by_account ON tokens (account_id, id);

-- Invitations for agents and gateways; each is taken once.
CREATE TABLE enrolments (
    token_sha256  TEXT   NOT NULL PRIMARY KEY CHECK (length(token_sha256) = 64),
    process       TEXT   NOT NULL CHECK (process IN ('agent', 'gateway')),
    name          TEXT   NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT  -- not taken where null
);

-- What creating calls answered, so that repeating one is safe.
CREATE TABLE idempotency (
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    key           TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    status        BIGINT, -- in progress where null
    body          TEXT,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);

-- Small facts of the cloud, such as its sealed signing key.
CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
