-- Replays that follow another one, since a trigger changed its rate, time or pattern.

ALTER TABLE runs ADD COLUMN before_id TEXT;    -- the run that it follows; null where it was asked for
ALTER TABLE runs ADD COLUMN trigger_name TEXT; -- that changed it
ALTER TABLE runs ADD COLUMN changes BIGINT NOT NULL DEFAULT 0 CHECK (changes >= 0); -- in a row, up to it

-- When a gate that could not be asked is asked again, apart from when triggers are.
ALTER TABLE runs ADD COLUMN gate_at_ms BIGINT NOT NULL DEFAULT 0 CHECK (gate_at_ms >= 0);

-- One run follows another: a row of them does not branch.
CREATE UNIQUE INDEX runs_by_before ON runs (before_id) WHERE before_id IS NOT NULL;
