-- Streams that were removed: whoever holds their events, or copies of them, removes those too.
CREATE TABLE streams_removed (
    id            TEXT   NOT NULL PRIMARY KEY,
    removed_at_ms BIGINT NOT NULL CHECK (removed_at_ms >= 0)
);

CREATE INDEX streams_removed_by_time ON streams_removed (removed_at_ms);

-- When the gateway that sends a run last told of it; 0 before it has.
ALTER TABLE runs ADD COLUMN told_at_ms BIGINT NOT NULL DEFAULT 0 CHECK (told_at_ms >= 0);
CREATE INDEX runs_by_end ON runs (ended_at_ms) WHERE ended_at_ms IS NOT NULL;

-- Ended runs by which a gate may still have to promote, or of which a trigger may have to be asked:
-- not before this time.
ALTER TABLE runs ADD COLUMN gated BIGINT NOT NULL DEFAULT 0 CHECK (gated IN (0, 1));
ALTER TABLE runs ADD COLUMN judge_at_ms BIGINT NOT NULL DEFAULT 0 CHECK (judge_at_ms >= 0);
UPDATE runs SET gated = 1 WHERE ended_at_ms IS NOT NULL;
CREATE INDEX runs_by_gated ON runs (endpoint_id) WHERE gated = 0 AND ended_at_ms IS NOT NULL;

-- Since when a bake's variants serve what they serve.
ALTER TABLE endpoint_bakes ADD COLUMN since_ms BIGINT NOT NULL DEFAULT 0 CHECK (since_ms >= 0);
