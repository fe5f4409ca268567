-- Functions across accounts: grants of their owners, links of others to them, and what calls came
-- to. A link is a row of `functions`, so that a name means one thing; its `latest_id` is no revision.

CREATE TABLE function_grants (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    function_id   TEXT   NOT NULL REFERENCES functions (id),
    spec          TEXT   NOT NULL, -- JSON: qualifier, accounts, limits, words
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (account_id, name)
);

CREATE INDEX function_grants_by_function ON function_grants (function_id);

CREATE TABLE function_links (
    function_id   TEXT   NOT NULL PRIMARY KEY REFERENCES functions (id),
    owner_id      TEXT   NOT NULL REFERENCES accounts (id), -- whose grant it is
    grant_name    TEXT   NOT NULL, -- by its name: it may be taken back, and given again
    spec          TEXT   NOT NULL -- JSON: parameters, limits, tokens, words
);

CREATE TABLE function_usage (
    hour_ms       BIGINT NOT NULL CHECK (hour_ms >= 0), -- when the hour began
    payer_id      TEXT   NOT NULL, -- whose calls
    owner_id      TEXT   NOT NULL, -- whose function
    function_id   TEXT   NOT NULL,
    link_id       TEXT   NOT NULL, -- empty for calls of the owner's own
    grant_id      TEXT   NOT NULL, -- empty for those
    service_id    TEXT   NOT NULL, -- empty where it was through none
    key_id        TEXT   NOT NULL, -- empty where it was with none
    calls         BIGINT NOT NULL CHECK (calls >= 0),
    failures      BIGINT NOT NULL CHECK (failures >= 0), -- the function's own errors
    faults        BIGINT NOT NULL CHECK (faults >= 0), -- crashes, and limits that were passed
    duration_ms   BIGINT NOT NULL CHECK (duration_ms >= 0),
    memory_mib_ms BIGINT NOT NULL CHECK (memory_mib_ms >= 0),
    PRIMARY KEY (hour_ms, payer_id, owner_id, function_id, link_id, grant_id, service_id, key_id)
);

CREATE INDEX function_usage_by_owner ON function_usage (owner_id, hour_ms);
CREATE INDEX function_usage_by_payer ON function_usage (payer_id, hour_ms);

-- Services: APIs made of functions, each of their versions, and the keys of those who use them.

CREATE TABLE services (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES accounts (id),
    name          TEXT   NOT NULL,
    newest        BIGINT NOT NULL CHECK (newest >= 1), -- the newest version, which answers where none is named
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (account_id, name)
);

CREATE TABLE service_versions (
    service_id    TEXT   NOT NULL REFERENCES services (id),
    number        BIGINT NOT NULL CHECK (number >= 1),
    spec          TEXT   NOT NULL, -- JSON: words, who may call, operations
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    PRIMARY KEY (service_id, number)
);

CREATE TABLE service_keys (
    id            TEXT   NOT NULL PRIMARY KEY,
    service_id    TEXT   NOT NULL REFERENCES services (id),
    name          TEXT   NOT NULL,
    secret_sha256 TEXT   NOT NULL UNIQUE,
    spec          TEXT   NOT NULL, -- JSON: limits
    created_at_ms BIGINT NOT NULL CHECK (created_at_ms >= 0),
    UNIQUE (service_id, name)
);
