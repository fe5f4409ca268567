-- Events that tell a function what became of others, counted: a chain of them ends.

ALTER TABLE function_events ADD COLUMN told BIGINT NOT NULL DEFAULT 0 CHECK (told >= 0); -- destinations told before this one, each of the next
