-- What hosts are there for, and which of them are lost.

ALTER TABLE hosts ADD COLUMN fleet TEXT NOT NULL DEFAULT 'cold'; -- hot, cold, or dedicated=ACCOUNT
ALTER TABLE hosts ADD COLUMN lost BIGINT NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)); -- gateways do not ask it
