-- The core: jobs, their tasks and attempts, the events, the keys. Times are microseconds since the epoch, UTC.
-- Never edited once landed: a change of the tables is the next number.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES
  ('schema', 0),      -- the number of the last migration done
  ('next_job', 0),    -- ids come from here: never reused, gaps allowed
  ('next_task', 0),
  ('last_seq', 0),
  ('jobs', 0),        -- how many there are
  ('outcomes', 0),    -- goes up with every change of what statistics count
  ('passes', 0);      -- claims in a row that passed over an older ready task

-- A job's tasks have the ids first_task … first_task + num_tasks - 1. The n_ columns count them by status.
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL,
  first_task INTEGER NOT NULL,
  num_tasks INTEGER NOT NULL,
  argument_count INTEGER NOT NULL,  -- of tasks without arguments of their own
  round INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  attempts INTEGER NOT NULL,      -- begun in this round
  progress REAL,
  cause TEXT,
  error TEXT,
  exit_code INTEGER,
  signal INTEGER,
  told_by INTEGER,                -- of many tasks: the number of the one whose failure is told as the job's
  created_at INTEGER NOT NULL,
  round_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,               -- of its newest end so far
  finished_at INTEGER,
  duration_us INTEGER,
  n_pending INTEGER NOT NULL,
  n_running INTEGER NOT NULL,
  n_paused INTEGER NOT NULL,
  n_retried INTEGER NOT NULL,
  n_completed INTEGER NOT NULL,
  n_crashed INTEGER NOT NULL,
  n_failed INTEGER NOT NULL,
  n_stopped INTEGER NOT NULL,
  n_lost INTEGER NOT NULL
);

-- Apart from jobs, so that the row that changes often stays small.
CREATE TABLE specs (
  job INTEGER PRIMARY KEY,
  spec TEXT NOT NULL
);

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  number INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  ready INTEGER NOT NULL DEFAULT 1,     -- may be claimed
  priority INTEGER NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 0,   -- number of the newest
  failures INTEGER NOT NULL DEFAULT 0,  -- counted in this round
  run TEXT,                             -- of the newest attempt; none while the task waits
  want TEXT,
  ready_at INTEGER,                     -- since when it may be claimed, or waits for due_at
  due_at INTEGER,
  args TEXT
);

CREATE INDEX tasks_ready ON tasks (priority DESC, id) WHERE ready = 1;
CREATE INDEX tasks_oldest ON tasks (id) WHERE ready = 1;
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_waiting ON tasks (ready_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_live ON tasks (id) WHERE status IN ('running', 'paused');
-- Where a late true end is looked for. An index of all runs would cost each claim a page of its own, for they are random.
CREATE INDEX tasks_lost ON tasks (run) WHERE status = 'lost';

CREATE TABLE attempts (
  task INTEGER NOT NULL,
  number INTEGER NOT NULL,
  round INTEGER NOT NULL,
  run TEXT NOT NULL,
  node TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  status TEXT NOT NULL,
  claimed_at INTEGER NOT NULL,
  queue_wait_us INTEGER NOT NULL,
  pid INTEGER,
  start_ticks INTEGER,
  started_at INTEGER,
  ended_at INTEGER,
  cause TEXT,
  error TEXT,
  exit_code INTEGER,
  signal INTEGER,
  core_dumped INTEGER NOT NULL DEFAULT 0,
  duration_us INTEGER,
  cpu_us INTEGER,
  peak_rss_bytes INTEGER,
  read_bytes INTEGER,
  write_bytes INTEGER,
  output_bytes INTEGER,
  leftovers INTEGER NOT NULL DEFAULT 0,
  progress REAL,
  message TEXT,
  checkpoint TEXT,
  result TEXT,
  PRIMARY KEY (task, number)
) WITHOUT ROWID;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  job INTEGER NOT NULL,
  data TEXT NOT NULL
);

CREATE TABLE idempotency_keys (
  key TEXT PRIMARY KEY,
  body_hash TEXT NOT NULL,
  first_job INTEGER NOT NULL,
  jobs INTEGER NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_at ON idempotency_keys (at);
