-- Which migrations were applied, and the row by which only one control plane applies them.
CREATE TABLE IF NOT EXISTS migrations (
    number BIGINT NOT NULL PRIMARY KEY,
    hash   TEXT   NOT NULL
);

CREATE TABLE IF NOT EXISTS migration_lock (
    id    BIGINT NOT NULL PRIMARY KEY,
    taken BIGINT NOT NULL
);

INSERT INTO migration_lock (id, taken) VALUES (1, 0) ON CONFLICT DO NOTHING;
