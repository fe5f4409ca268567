-- Whether the gateway that writes a stream keeps its events encrypted; null until it has said so.
ALTER TABLE streams ADD COLUMN encrypted BIGINT CHECK (encrypted IN (0, 1));
