-- How right captured answers of an endpoint were, within windows that its triggers watch: the newest
-- that a gateway has told of each.
CREATE TABLE endpoint_accuracies (
    endpoint_id   TEXT   NOT NULL, -- whichever variant answered
    window_ms     BIGINT NOT NULL CHECK (window_ms >= 1),
    terms         TEXT   NOT NULL, -- JSON: how predictions are read, and what is positive
    counted_at_ms BIGINT NOT NULL CHECK (counted_at_ms >= 0), -- the window's end
    told          TEXT   NOT NULL, -- JSON: counts by variant
    PRIMARY KEY (endpoint_id, window_ms, terms)
);
