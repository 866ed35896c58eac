-- Lists that are filtered and sorted by key, labels and types of jobs, and how busy a node was when an attempt was claimed.

ALTER TABLE jobs ADD COLUMN type TEXT;
ALTER TABLE attempts ADD COLUMN concurrency INTEGER;  -- attempts running on its node when it was claimed, itself included

-- Every list ends with the id, which each index of SQLite holds anyway: named here it would be in it twice.
CREATE INDEX jobs_status ON jobs (status);
CREATE INDEX jobs_name ON jobs (name);
CREATE INDEX jobs_type ON jobs (type) WHERE type IS NOT NULL;
CREATE INDEX jobs_created ON jobs (created_at);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE labels (
  job INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;

CREATE INDEX labels_value ON labels (key, value, job);
