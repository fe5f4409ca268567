-- Replays that follow another one, since a trigger changed its rate, time or pattern.

ALTER TABLE runs ADD COLUMN before_id TEXT;    -- the run that it follows; null where it was asked for
ALTER TABLE runs ADD COLUMN trigger_name TEXT; -- that changed it
ALTER TABLE runs ADD COLUMN changes BIGINT NOT NULL DEFAULT 0 CHECK (changes >= 0); -- in a row, up to it

-- One run follows another: a row of them does not branch.
CREATE UNIQUE INDEX runs_by_before ON runs (before_id) WHERE before_id IS NOT NULL;
