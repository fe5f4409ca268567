-- How much memory hosts have for functions.

ALTER TABLE hosts ADD COLUMN functions_memory_bytes BIGINT NOT NULL DEFAULT 0 CHECK (functions_memory_bytes >= 0);

-- Provisioned concurrency: which hosts are to keep how many instances of a revision, and have.
-- What owners want is a setting of the function.

CREATE TABLE function_provisions (
    revision_id TEXT   NOT NULL REFERENCES function_revisions (id),
    host_id     TEXT   NOT NULL REFERENCES hosts (id),
    wanted      BIGINT NOT NULL CHECK (wanted >= 1),
    starting    BIGINT NOT NULL CHECK (starting >= 0), -- as the host last said
    ready       BIGINT NOT NULL CHECK (ready >= 0),    -- the same
    trouble     TEXT   NOT NULL, -- why it has fewer; empty where nothing is in the way
    PRIMARY KEY (revision_id, host_id)
);

CREATE INDEX function_provisions_by_host ON function_provisions (host_id);
