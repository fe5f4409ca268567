-- Certificates of enrolled processes: the one that counts for each name, and beside it the one it was
-- renewed from, which its holder still has when the answer with the new one was lost.

CREATE TABLE certificates (
    process      TEXT NOT NULL CHECK (process IN ('agent', 'gateway')),
    name         TEXT NOT NULL,
    certificate  TEXT NOT NULL, -- SHA-256
    renewed_from TEXT,          -- SHA-256; none since it enrolled
    PRIMARY KEY (process, name)
);

INSERT INTO certificates (process, name, certificate)
SELECT 'agent', name, certificate
FROM hosts
WHERE certificate IS NOT NULL;

ALTER TABLE hosts DROP COLUMN certificate;
