-- What failed attempts printed last, and which attempts ran unusually long.

ALTER TABLE attempts ADD COLUMN last_lines TEXT;      -- of an attempt that crashed or could not be started, secrets masked
ALTER TABLE attempts ADD COLUMN overdue_at INTEGER;   -- when it was found to run longer than nearly all of its like

CREATE INDEX attempts_told ON attempts (ended_at) WHERE last_lines IS NOT NULL;
