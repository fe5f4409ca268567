-- Events that tell a webhook what became of others.

ALTER TABLE function_events ADD COLUMN webhook TEXT NOT NULL DEFAULT ''; -- a URL; empty where the function runs
