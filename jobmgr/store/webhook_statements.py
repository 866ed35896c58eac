"""The statements about webhooks and deliveries that every database shares, written as those of `statements`."""

from __future__ import annotations

# --- webhooks ------------------------------------------------------------------------------------------------------------------

WEBHOOK_COLUMNS = "id, url, wanted, filter, secret, job, enabled, disabled_why, since_seq, created_at"
INSERT_WEBHOOK = """
INSERT INTO webhooks (id, url, receiver, wanted, filter, secret, job, enabled, disabled_why, since_seq, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"""
COUNT_STANDING = "SELECT count(*) FROM webhooks WHERE job IS NULL"
STANDING = f"SELECT {WEBHOOK_COLUMNS} FROM webhooks WHERE job IS NULL ORDER BY id"
READ_WEBHOOK = f"SELECT {WEBHOOK_COLUMNS} FROM webhooks WHERE id = $1"
ANY_WEBHOOK = "SELECT EXISTS (SELECT 1 FROM webhooks)"
SET_URL = "UPDATE webhooks SET url = $1, receiver = $2 WHERE id = $3"
SET_WANTED = "UPDATE webhooks SET wanted = $1 WHERE id = $2"
SET_FILTER = "UPDATE webhooks SET filter = $1 WHERE id = $2"
ROTATE = "UPDATE webhooks SET old_secret = secret, secret = $1, old_until = $2 WHERE id = $3"
ENABLE = "UPDATE webhooks SET enabled = 1, disabled_why = NULL, since_seq = $1 WHERE id = $2 AND enabled = 0"
DISABLE = "UPDATE webhooks SET enabled = 0, disabled_why = $1 WHERE id = $2 AND enabled = 1"
DELETE_WEBHOOK = "DELETE FROM webhooks WHERE id = $1"
CALLBACK_OF = "SELECT id FROM webhooks WHERE job = $1"
CLOSE_CALLBACK = "UPDATE webhooks SET closing = 1 WHERE id = $1"
_IDLE = "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook = webhooks.id AND d.status = 'pending')"
DELETE_CLOSED = f"DELETE FROM webhooks WHERE id = $1 AND closing = 1 AND {_IDLE}"
PRUNE_CLOSED = f"DELETE FROM webhooks WHERE closing = 1 AND {_IDLE}"
# Those whose end and deletion were pruned from the events before anybody looked at them.
PRUNE_ORPHANS = f"""
DELETE FROM webhooks WHERE id IN (
  SELECT w.id FROM webhooks w LEFT JOIN jobs j ON j.id = w.job WHERE w.job IS NOT NULL AND w.created_at < $1 AND j.id IS NULL LIMIT $2)
AND {_IDLE}"""
TELLS_CHANGES = """
SELECT EXISTS (SELECT 1 FROM webhooks WHERE job IS NULL AND enabled = 1 AND (wanted LIKE '%"broken"%' OR wanted LIKE '%"mended"%'))"""

# --- deliveries ----------------------------------------------------------------------------------------------------------------

DELIVERY_COLUMNS = (
    "id, webhook, job, seq, message, type, status, tries, due_at, code, error, created_at, ended_at, body"
)
RECEIVER_OF = "SELECT receiver FROM webhooks WHERE id = $1 AND enabled = 1"
IS_WAITED_FOR = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook = $1 AND job = $2 AND status = 'pending')"
INSERT_DELIVERY = """
INSERT INTO deliveries (id, webhook, job, seq, receiver, message, type, body, due_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
READ_DELIVERY = f"SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE id = $1"
PLACE_OF_DELIVERY = "SELECT webhook, job, status FROM deliveries WHERE id = $1"
URL_OF_WEBHOOK = "SELECT url FROM webhooks WHERE id = $1"
RETRY_DELIVERY = "UPDATE deliveries SET tries = tries + 1, due_at = $1, code = $2, error = $3 WHERE id = $4"
END_DELIVERY = """
UPDATE deliveries SET status = $1, tries = tries + 1, due_at = NULL, code = $2, error = $3, ended_at = $4 WHERE id = $5"""
NEXT_IN_LINE = """
UPDATE deliveries SET due_at = $1
WHERE id = (SELECT min(id) FROM deliveries WHERE webhook = $2 AND job = $3 AND status = 'pending') AND due_at IS NULL"""
DROP_PENDING = """
UPDATE deliveries SET status = 'dropped', due_at = NULL, error = $1, ended_at = $2 WHERE webhook = $3 AND status = 'pending'"""
MOVE_PENDING = """
UPDATE deliveries SET receiver = $1, due_at = CASE WHEN due_at IS NULL THEN NULL ELSE $2 END WHERE webhook = $3 AND status = 'pending'"""
REDELIVER = """
UPDATE deliveries SET receiver = $1, status = 'pending', tries = 0, due_at = $2, ended_at = NULL WHERE id = $3"""
NEXT_DUE_DELIVERY = "SELECT min(due_at) FROM deliveries WHERE due_at IS NOT NULL AND due_at > $1"
PRUNE_DELIVERIES = """
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2)"""

# --- outcomes ------------------------------------------------------------------------------------------------------------------

KEEP_OUTCOME = """
INSERT INTO outcomes (name, good, at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET good = excluded.good, at = excluded.at"""
FORGET_OUTCOMES = "DELETE FROM outcomes"
PRUNE_OUTCOMES = "DELETE FROM outcomes WHERE name IN (SELECT name FROM outcomes WHERE at < $1 ORDER BY at LIMIT $2)"
