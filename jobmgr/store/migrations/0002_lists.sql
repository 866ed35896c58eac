-- Lists that are filtered and sorted by key, labels and types of jobs, and how busy a node was when an attempt was claimed.

ALTER TABLE jobs ADD COLUMN type TEXT;
ALTER TABLE attempts ADD COLUMN concurrency INTEGER;  -- attempts running on its node when it was claimed, itself included

-- An order ends with the id, which every index of SQLite holds anyway, and every index of another database must.
CREATE INDEX jobs_status ON jobs (status, id);
CREATE INDEX jobs_name ON jobs (name, id);
CREATE INDEX jobs_type ON jobs (type, id) WHERE type IS NOT NULL;
CREATE INDEX jobs_created ON jobs (created_at, id);
CREATE INDEX jobs_finished ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_duration ON jobs (duration_us, id) WHERE duration_us IS NOT NULL;

CREATE TABLE labels (
  job INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;

CREATE INDEX labels_value ON labels (key, value, job);
