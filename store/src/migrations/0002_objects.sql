-- Stored bytes: which objects there are, what holds them, and which chunks are on their way out.

CREATE TABLE objects (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    bytes         BIGINT NOT NULL CHECK (bytes >= 0),
    sha256        TEXT   NOT NULL CHECK (length(sha256) = 64), -- of the plain bytes
    media_type    TEXT   NOT NULL,
    sealed_key    TEXT   NOT NULL, -- the object's key, sealed under the account's
    key_version   BIGINT NOT NULL CHECK (key_version >= 1),    -- of the account key that sealed it
    chunks        BIGINT NOT NULL CHECK (chunks >= 0),
    sequence      BIGINT NOT NULL CHECK (sequence >= 1),       -- counts the account's objects
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (account_id, sequence)
);

CREATE INDEX objects_by_age ON objects (created_at_ms);

-- Why an object is kept: one row per thing that needs it.
CREATE TABLE object_holders (
    object_id TEXT NOT NULL REFERENCES objects (id),
    holder    TEXT NOT NULL,
    PRIMARY KEY (object_id, holder)
);

CREATE INDEX object_holders_by_holder ON object_holders (holder);

-- Chunks that no object was seen to use. A commit takes a condemned one back; once it is being
-- deleted, the commit fails.
CREATE TABLE condemned_chunks (
    account_id TEXT   NOT NULL REFERENCES accounts (id),
    chunk      TEXT   NOT NULL CHECK (length(chunk) = 64),
    state      TEXT   NOT NULL CHECK (state IN ('condemned', 'deleting')),
    at_ms      BIGINT NOT NULL CHECK (at_ms >= 0), -- when it came into this state
    PRIMARY KEY (account_id, chunk)
);

CREATE INDEX condemned_chunks_by_age ON condemned_chunks (account_id, state, at_ms);
