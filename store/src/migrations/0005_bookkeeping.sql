-- What the control plane keeps for itself: sagas and the change feed.

CREATE TABLE sagas (
    id            TEXT   NOT NULL PRIMARY KEY,
    kind          TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    state         TEXT   NOT NULL, -- JSON
    step          BIGINT NOT NULL CHECK (step >= 0),
    phase         TEXT   NOT NULL
        CHECK (phase IN ('forward', 'undoing', 'done', 'undone', 'stuck')),
    attempts      BIGINT NOT NULL CHECK (attempts >= 0),
    started_at_ms BIGINT NOT NULL,
    due_at_ms     BIGINT NOT NULL,
    owner         TEXT,            -- the driver that advances it now
    error         TEXT,            -- JSON
    generation    BIGINT NOT NULL CHECK (generation >= 0) -- counts saves
);

CREATE INDEX sagas_by_due ON sagas (phase, due_at_ms, id);
CREATE INDEX sagas_by_subject ON sagas (subject);

-- One row per topic that somebody watches.
CREATE TABLE feeds (
    topic      TEXT   NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL CHECK (generation >= 0), -- grows with every change
    -- Changes up to this one are no longer kept.
    trimmed    BIGINT NOT NULL CHECK (trimmed >= 0 AND trimmed <= generation)
);

-- What changed, for followers that need to know what and not only that.
CREATE TABLE changes (
    topic    TEXT   NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 1), -- the topic's generation after the change
    subject  TEXT   NOT NULL,
    PRIMARY KEY (topic, sequence)
);
