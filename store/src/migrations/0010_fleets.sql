-- What hosts are there for, and which of them are lost.

ALTER TABLE hosts ADD COLUMN fleet TEXT NOT NULL DEFAULT 'cold'; -- hot, cold, or dedicated=ACCOUNT
ALTER TABLE hosts ADD COLUMN lost BIGINT NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)); -- gateways do not ask it

-- The sizes of functions' instances: where each revision's stands, what was done about them, and
-- what calls took.

CREATE TABLE function_sizes (
    revision_id TEXT   NOT NULL PRIMARY KEY REFERENCES function_revisions (id),
    number      BIGINT NOT NULL CHECK (number >= 0), -- of the function's last step about it
    settled_kib BIGINT CHECK (settled_kib >= 1), -- null for what the revision asks for
    refused_kib BIGINT CHECK (refused_kib >= 1), -- was rolled back last
    trial_host  TEXT,                            -- where an instance tries another size
    trial_at_ms BIGINT CHECK (trial_at_ms >= 0)
);

CREATE TABLE function_size_steps (
    function_id TEXT   NOT NULL REFERENCES functions (id),
    number      BIGINT NOT NULL CHECK (number >= 1), -- counts the function's steps
    at_ms       BIGINT NOT NULL CHECK (at_ms >= 0),
    version     TEXT   NOT NULL, -- $LATEST or a number, as it was called then
    host_id     TEXT   NOT NULL REFERENCES hosts (id),
    spec        TEXT   NOT NULL, -- JSON: what was done, and why
    PRIMARY KEY (function_id, number)
);

CREATE TABLE function_measures (
    revision_id    TEXT   NOT NULL REFERENCES function_revisions (id),
    host_id        TEXT   NOT NULL REFERENCES hosts (id),
    spec           TEXT   NOT NULL, -- JSON: what calls took there
    measured_at_ms BIGINT NOT NULL CHECK (measured_at_ms >= 0),
    PRIMARY KEY (revision_id, host_id)
);
