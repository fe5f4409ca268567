-- What names and surrounds functions: aliases, settings, events that wait to be run; and access
-- keys, by which AWS's clients sign.

CREATE TABLE function_aliases (
    function_id   TEXT   NOT NULL REFERENCES functions (id),
    name          TEXT   NOT NULL,
    version       BIGINT NOT NULL CHECK (version >= 0), -- 0 is the latest
    other_version BIGINT CHECK (other_version >= 1), -- runs a share of the calls
    other_share   BIGINT CHECK (other_share BETWEEN 0 AND 10000), -- in hundredths of a percent
    max_stale_ms  BIGINT NOT NULL CHECK (max_stale_ms >= 0), -- how long what was before may answer
    description   TEXT   NOT NULL,
    generation    BIGINT NOT NULL CHECK (generation >= 1), -- grows with every change
    changed_at_ms BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    PRIMARY KEY (function_id, name)
);

CREATE TABLE function_settings (
    function_id   TEXT   NOT NULL REFERENCES functions (id),
    kind          TEXT   NOT NULL,
    qualifier     TEXT   NOT NULL, -- a version or alias; empty for the whole function
    spec          TEXT   NOT NULL, -- JSON
    changed_at_ms BIGINT NOT NULL CHECK (changed_at_ms >= 0),
    PRIMARY KEY (function_id, kind, qualifier)
);

CREATE TABLE function_events (
    id             TEXT   NOT NULL PRIMARY KEY,
    function_id    TEXT   NOT NULL REFERENCES functions (id),
    qualifier      TEXT   NOT NULL,
    payload        TEXT   NOT NULL, -- JSON, as it came
    state          TEXT   NOT NULL CHECK (state IN ('waiting', 'running', 'dead')),
    attempts       BIGINT NOT NULL CHECK (attempts >= 0), -- runs that were begun
    failures       BIGINT NOT NULL CHECK (failures >= 0), -- runs in which the function failed
    due_at_ms      BIGINT NOT NULL CHECK (due_at_ms >= 0), -- when it runs; while it does, when it is taken for lost
    accepted_at_ms BIGINT NOT NULL CHECK (accepted_at_ms >= 0),
    history        TEXT   NOT NULL -- JSON: how each attempt failed, in order
);

CREATE INDEX function_events_by_due ON function_events (state, due_at_ms);
CREATE INDEX function_events_by_function ON function_events (function_id, state, id);

CREATE TABLE function_schedules (
    function_id   TEXT   NOT NULL REFERENCES functions (id),
    name          TEXT   NOT NULL,
    spec          TEXT   NOT NULL, -- JSON: expression, zone, qualifier, payload, missed runs
    start_ms      BIGINT NOT NULL CHECK (start_ms >= 0), -- rates count from here
    due_at_ms     BIGINT CHECK (due_at_ms >= 0), -- null when there is no further run
    PRIMARY KEY (function_id, name)
);

CREATE INDEX function_schedules_by_due ON function_schedules (due_at_ms);

ALTER TABLE tokens ADD COLUMN access_key TEXT;
ALTER TABLE tokens ADD COLUMN sealed_secret TEXT; -- sealed by the master key
CREATE UNIQUE INDEX tokens_by_access_key ON tokens (access_key);
