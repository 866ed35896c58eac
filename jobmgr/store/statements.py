"""The text of the statements that every database shares, with `$n` placeholders.

Each placeholder stands once, in order, so that a database that knows only `?` takes the same parameters. Literals of partial indexes are
literals here too, or the index would not be used. What a database does in its own way (batches, claim, wake-up) stands with its adapter.
"""

from __future__ import annotations

from jobmgr.job import Status

COUNTERS = tuple(f"n_{status}" for status in Status)
"""The columns of a job that count its tasks, in the order of Status."""

LEDGER = (
    "status",
    "round",
    "retries",
    "attempts",
    "progress",
    "cause",
    "error",
    "exit_code",
    "signal",
    "told_by",
    "round_at",
    "started_at",
    "ended_at",
    "finished_at",
    "duration_us",
    *COUNTERS,
)
"""The columns of a job that its tasks' changes move."""


def _places(count: int, start: int = 1) -> str:
    return ", ".join(f"${i}" for i in range(start, start + count))


def _settings(columns: tuple[str, ...]) -> str:
    return ", ".join(f"{column} = ${i}" for i, column in enumerate(columns, 1))


# --- jobs ----------------------------------------------------------------------------------------------------------------------

_NEW_JOB = ("id", "name", "type", "priority", "first_task", "num_tasks", "argument_count", "created_at", *LEDGER)
INSERT_JOB = f"INSERT INTO jobs ({', '.join(_NEW_JOB)}) VALUES ({_places(len(_NEW_JOB))})"
INSERT_SPEC = "INSERT INTO specs (job, spec) VALUES ($1, $2)"
LOAD_JOB = f"SELECT name, type, first_task, num_tasks, created_at, {', '.join(LEDGER)} FROM jobs WHERE id = $1"
LOAD_LABELS = "SELECT key, value FROM labels WHERE job = $1 ORDER BY key"
SAVE_JOB = f"UPDATE jobs SET {_settings(LEDGER)} WHERE id = ${len(LEDGER) + 1}"
LOAD_SPEC = "SELECT s.spec, j.num_tasks FROM specs s JOIN jobs j ON j.id = s.job WHERE s.job = $1"
INSERT_LABEL = "INSERT INTO labels (job, key, value) VALUES ($1, $2, $3)"
DELETE_LABELS = "DELETE FROM labels WHERE job = $1"
DELETE_JOB = "DELETE FROM jobs WHERE id = $1"
DELETE_SPEC = "DELETE FROM specs WHERE job = $1"
DELETE_TASKS = "DELETE FROM tasks WHERE id BETWEEN $1 AND $2"
DELETE_ATTEMPTS = "DELETE FROM attempts WHERE task BETWEEN $1 AND $2"

# --- tasks ---------------------------------------------------------------------------------------------------------------------

INSERT_TASK = "INSERT INTO tasks (id, job, number, priority, ready_at, args) VALUES ($1, $2, $3, $4, $5, $6)"
INSERT_TASKS = """
INSERT INTO tasks (id, job, number, priority, ready_at)
WITH RECURSIVE place (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM place WHERE number + 1 < $1)
SELECT $2 + number, $3, number, $4, $5 FROM place"""

READY_BEST = """
SELECT id, job, number, status, attempt, failures, ready_at, args
FROM tasks WHERE ready = 1 ORDER BY priority DESC, id LIMIT $1"""
READY_OLDEST = """
SELECT id, job, number, status, attempt, failures, ready_at, args
FROM tasks WHERE ready = 1 ORDER BY id LIMIT $1"""
CLAIM_TASK = "UPDATE tasks SET status = 'running', ready = 0, attempt = attempt + 1, run = $1 WHERE id = $2"
TASK_OF_RUN = "SELECT job, number, status, attempt, failures, want FROM tasks WHERE id = $1 AND run = $2"
END_TASK = "UPDATE tasks SET status = $1, ready = $2, failures = $3, run = $4, want = NULL, ready_at = $5, due_at = $6 WHERE id = $7"
UNBEGIN_TASK = """
UPDATE tasks SET status = $1, ready = $2, attempt = attempt - 1, run = NULL, want = NULL, due_at = $3, ready_at = coalesce($4, ready_at)
WHERE id = $5"""
# What waits since an instant that is still to come proves that the clock was set back: it may be due now, or long ago. Two reads, for two
# partial indexes: with OR in their place all that waits would be looked at.
MAKE_DUE = """
UPDATE tasks SET ready = 1, ready_at = CASE WHEN due_at > $1 THEN $2 ELSE due_at END, due_at = NULL
WHERE id IN (SELECT id FROM tasks WHERE due_at <= $3 UNION ALL SELECT id FROM tasks WHERE due_at IS NOT NULL AND ready_at > $4)"""
NEXT_DUE = "SELECT min(due_at) FROM tasks WHERE due_at IS NOT NULL"

STOP_WAITING = """
UPDATE tasks SET status = 'stopped', ready = 0, due_at = NULL, want = NULL
WHERE id BETWEEN $1 AND $2 AND status IN ('pending', 'retried')"""
RUNS_OF_JOB = "SELECT id, run FROM tasks WHERE id BETWEEN $1 AND $2 AND status IN ('running', 'paused') ORDER BY id"
WANT_OF_JOB = "UPDATE tasks SET want = $1 WHERE id BETWEEN $2 AND $3 AND status IN ('running', 'paused')"
# A person's stop is not weakened by the server's own leaving.
WANT_OF_RUN = """
UPDATE tasks SET want = CASE WHEN want = 'stop' THEN want ELSE $1 END
WHERE id = $2 AND run = $3 AND status IN ('running', 'paused')"""
RESTART_TASKS = """
UPDATE tasks SET status = 'pending', ready = 1, failures = 0, run = NULL, want = NULL, ready_at = $1, due_at = NULL
WHERE id BETWEEN $2 AND $3"""

# --- attempts ------------------------------------------------------------------------------------------------------------------

INSERT_ATTEMPT = """
INSERT INTO attempts (task, number, round, run, node, incarnation, boot_id, status, claimed_at, queue_wait_us, concurrency)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10)"""
_NEWEST = "number = (SELECT attempt FROM tasks WHERE id = ${}) AND run = ${}"
BEGIN_ATTEMPT = f"""
UPDATE attempts SET pid = $1, start_ticks = $2, started_at = $3
WHERE task = $4 AND {_NEWEST.format(5, 6)} AND ended_at IS NULL"""
TAKE_UP_ATTEMPT = f"""
UPDATE attempts SET node = $1, incarnation = $2, boot_id = $3
WHERE task = $4 AND {_NEWEST.format(5, 6)} AND ended_at IS NULL"""
REPORT_PROGRESS = """
UPDATE attempts SET progress = coalesce($1, progress), message = coalesce($2, message), checkpoint = coalesce($3, checkpoint)
WHERE task = $4 AND number = $5"""
TELL_OVERDUE = "UPDATE attempts SET overdue_at = $1 WHERE task = $2 AND number = $3 AND overdue_at IS NULL"
END_ATTEMPT = """
UPDATE attempts SET status = $1, cause = $2, error = $3, exit_code = $4, signal = $5, core_dumped = $6,
  pid = coalesce($7, pid), started_at = coalesce($8, started_at), ended_at = $9, duration_us = $10, cpu_us = $11, peak_rss_bytes = $12,
  read_bytes = $13, write_bytes = $14, output_bytes = $15, leftovers = $16, result = $17, progress = coalesce($18, progress),
  last_lines = $19
WHERE task = $20 AND number = $21"""
DELETE_ATTEMPT = "DELETE FROM attempts WHERE task = $1 AND number = $2"

# --- events, keys, counters ----------------------------------------------------------------------------------------------------

INSERT_EVENT = "INSERT INTO events (seq, at, kind, job, data) VALUES ($1, $2, $3, $4, $5)"
# One event a task without a row of it in memory. The data is JSON made of ids, numbers and two words, which need no quoting, and of what names the
# job ($3), which comes as JSON.
_TASK_EVENTS = """
INSERT INTO events (seq, at, kind, job, data)
SELECT $1 + row_number() OVER (ORDER BY id), $2, 'task-update', job,
  '{{"jobId":"job-' || job || '",' || $3 || ',"taskId":"job-' || job || '.' || number || '","status":"{status}","attempt":' || attempt || '{more}}}'
FROM tasks WHERE id BETWEEN $4 AND $5 AND status {among}"""
STOPPED_EVENTS = _TASK_EVENTS.format(status="stopped", more=',"cause":"stop"', among="IN ('pending', 'retried')")
RESTARTED_EVENTS = _TASK_EVENTS.format(status="pending", more="", among="NOT IN ('pending', 'retried')")
EVENTS_BETWEEN = "SELECT seq, at, kind, job, data FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"
EVENTS_AFTER = "SELECT seq, at, kind, job, data FROM events WHERE seq > $1 ORDER BY seq LIMIT $2"
# Looks at the first $1 rows only: the clock may have jumped, and a search for one old row must not read the whole table.
PRUNE_EVENTS = """
DELETE FROM events
WHERE seq <= (SELECT max(seq) FROM (SELECT seq, at FROM events ORDER BY seq LIMIT $1) AS oldest WHERE at < $2)"""
FIND_KEY = "SELECT body_hash, first_job, jobs FROM idempotency_keys WHERE key = $1"
INSERT_KEY = "INSERT INTO idempotency_keys (key, body_hash, first_job, jobs, at) VALUES ($1, $2, $3, $4, $5)"
PRUNE_KEYS = (
    "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE at < $1 ORDER BY at LIMIT $2)"
)
KEEP_WATCHER = """
INSERT INTO watchers (name, seq, seen_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, seen_at = excluded.seen_at"""
PRUNE_WATCHERS = (
    "DELETE FROM watchers WHERE name IN (SELECT name FROM watchers WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)"
)
READ_WATCHER = "SELECT seq FROM watchers WHERE name = $1"
LOAD_COUNTERS = "SELECT name, value FROM meta WHERE name <> 'schema'"
SAVE_COUNTER = "UPDATE meta SET value = $1 WHERE name = $2"
READ_COUNTER = "SELECT value FROM meta WHERE name = $1"

# --- reads ---------------------------------------------------------------------------------------------------------------------

_JOBS = f"""
SELECT j.id, j.name, s.spec, j.status, j.cause, j.error, j.retries, j.exit_code, j.signal, j.progress, j.priority, j.round, j.num_tasks,
  j.created_at, j.started_at, j.finished_at, j.duration_us, a.node, a.pid, a.message, a.result, a.output_bytes,
  {", ".join(f"j.{column}" for column in COUNTERS)}
FROM jobs j JOIN specs s ON s.job = j.id
LEFT JOIN tasks t ON t.id = j.first_task AND j.num_tasks = 1
LEFT JOIN attempts a ON a.task = t.id AND a.number = t.attempt AND a.round = j.round"""
READ_JOB = f"{_JOBS} WHERE j.id = $1"
READ_STATUSES = "SELECT id, status FROM jobs WHERE id BETWEEN $1 AND $2"
READ_JOB_IDS = "SELECT id FROM jobs WHERE id > $1 ORDER BY id LIMIT $2"
IDS_BETWEEN = "SELECT min(id), max(id) FROM jobs WHERE created_at >= $1 AND created_at < $2"
COUNT_BETWEEN = "SELECT count(*) FROM jobs WHERE created_at >= $1 AND created_at < $2 AND id < $3"
COUNT_BEFORE = "SELECT value - (SELECT count(*) FROM jobs WHERE id >= $1) FROM meta WHERE name = 'jobs'"
TASKS_OF_JOB = "SELECT first_task, num_tasks FROM jobs WHERE id = $1"

ATTEMPT_COLUMNS = (
    "number",
    "round",
    "run",
    "node",
    "pid",
    "status",
    "cause",
    "error",
    "exit_code",
    "signal",
    "core_dumped",
    "progress",
    "message",
    "claimed_at",
    "started_at",
    "ended_at",
    "duration_us",
    "queue_wait_us",
    "cpu_us",
    "peak_rss_bytes",
    "read_bytes",
    "write_bytes",
    "output_bytes",
    "leftovers",
    "result",
)
_ATTEMPT = ", ".join(f"a.{column}" for column in ATTEMPT_COLUMNS)
READ_TASKS = f"""
SELECT t.id, t.job, t.number, t.status, t.attempt, t.failures, t.args, t.due_at, {_ATTEMPT}
FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.number = t.attempt
WHERE t.id BETWEEN $1 AND $2 ORDER BY t.id LIMIT $3"""
READ_ATTEMPTS = f"""
SELECT t.job, t.id, t.number, {_ATTEMPT}
FROM attempts a JOIN tasks t ON t.id = a.task
WHERE (a.task, a.number) > ($1, $2) AND a.task <= $3 ORDER BY a.task, a.number LIMIT $4"""
# Without the spec, which is read once a job: a job of many tasks would bring as many copies.
_RUNS = """
SELECT t.job, t.id, t.number, t.attempt, t.run, t.args, t.failures, a.claimed_at, j.round_at, a.node, a.incarnation, a.boot_id,
  t.status, t.want, a.pid, a.start_ticks, a.started_at, j.num_tasks, j.round
FROM tasks t JOIN jobs j ON j.id = t.job JOIN attempts a ON a.task = t.id AND a.number = t.attempt
WHERE"""
OPEN_RUNS = f"{_RUNS} t.status IN ('running', 'paused') AND t.id > $1 ORDER BY t.id LIMIT $2"
# In the order of READY_BEST, and by the same index. A claim now and then prefers the oldest; a forecast does not count on that.
QUEUE = """
SELECT t.job, t.number, t.args, j.name
FROM tasks t JOIN jobs j ON j.id = t.job WHERE t.ready = 1 ORDER BY t.priority DESC, t.id LIMIT $1"""
FIND_RUN = f"""{_RUNS} t.id IN (
  SELECT id FROM tasks WHERE status IN ('running', 'paused') AND run = $1
  UNION ALL SELECT id FROM tasks WHERE status = 'lost' AND run = $2)"""
# By attempts_told, newest first; the joins look up one row each.
FAILED_ATTEMPTS = """
SELECT a.task, a.number, t.job, j.name, a.ended_at, a.cause, a.exit_code, a.signal, a.last_lines
FROM attempts a JOIN tasks t ON t.id = a.task JOIN jobs j ON j.id = t.job
WHERE a.last_lines IS NOT NULL AND a.ended_at >= $1 AND a.ended_at <= $2 AND (a.ended_at, a.task, a.number) < ($3, $4, $5)
ORDER BY a.ended_at DESC, a.task DESC, a.number DESC LIMIT $6"""

# --- history -------------------------------------------------------------------------------------------------------------------

JOB_OF_TASK = "SELECT job FROM tasks WHERE id >= $1 ORDER BY id LIMIT 1"
_HISTORY_JOBS = """
SELECT j.id, j.name, s.spec, j.first_task, j.num_tasks, j.round, j.priority, j.created_at FROM jobs j JOIN specs s ON s.job = j.id
WHERE"""
HISTORY_JOB = f"{_HISTORY_JOBS} j.id = $1"
HISTORY_JOBS = f"{_HISTORY_JOBS} j.id >= $1 ORDER BY j.id"
# Each task with its attempts, one without attempts once. How often a task was retried before is counted here: a page may begin anywhere.
READ_HISTORY = """
SELECT t.job, t.id, t.number, t.args, t.status, t.attempt, t.failures, a.number, a.round, a.status, a.node, a.claimed_at, a.started_at, a.ended_at,
  a.cause, a.exit_code, a.signal,
  (SELECT count(*) FROM attempts b WHERE b.task = a.task AND b.number < a.number AND b.round = a.round AND b.status = 'retried'),
  a.duration_us, a.queue_wait_us, a.peak_rss_bytes, a.cpu_us, a.read_bytes, a.write_bytes, a.output_bytes, a.concurrency
FROM tasks t LEFT JOIN attempts a ON a.task = t.id
WHERE t.id BETWEEN $1 AND $2 AND (t.id > $3 OR coalesce(a.number, 0) > $4) ORDER BY t.id, a.number LIMIT $5"""
