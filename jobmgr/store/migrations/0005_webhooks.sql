-- Webhooks: who is told of what, what is to be told, and how each name ended last.

-- The outbox has made deliveries of all events up to webhooks_seen.
INSERT INTO meta (name, value) SELECT 'webhooks_seen', value FROM meta WHERE name = 'last_seq';
INSERT INTO meta (name, value) VALUES ('next_webhook', 0), ('next_delivery', 0);

CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL,
  receiver TEXT NOT NULL,             -- scheme, host and port of the url
  wanted TEXT NOT NULL,               -- which messages, as a JSON list of words
  filter TEXT NOT NULL,               -- of which jobs, as JSON
  secret TEXT,                        -- none: the key of the server signs
  old_secret TEXT,                    -- signs beside the other one until old_until
  old_until INTEGER,
  job INTEGER,                        -- of a callback: the only job that it is about
  enabled INTEGER NOT NULL DEFAULT 1,
  disabled_why TEXT,
  closing INTEGER NOT NULL DEFAULT 0, -- its job is deleted: it goes when nothing waits for it
  since_seq INTEGER NOT NULL,         -- it sees events above this one
  created_at INTEGER NOT NULL
);

CREATE UNIQUE INDEX webhooks_job ON webhooks (job) WHERE job IS NOT NULL;
CREATE INDEX webhooks_standing ON webhooks (id) WHERE job IS NULL;
CREATE INDEX webhooks_closing ON webhooks (id) WHERE closing = 1;

-- Of one webhook, the deliveries of one job stand in a line by their ids; only the first that is pending has a due_at.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  webhook INTEGER NOT NULL,
  job INTEGER NOT NULL,               -- -1: about none
  seq INTEGER NOT NULL,               -- of the event; 0: of none
  receiver TEXT NOT NULL,
  message TEXT NOT NULL,              -- its id for the receiver, the same at each try
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  tries INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  code INTEGER,                       -- what the receiver answered last
  error TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
);

CREATE INDEX deliveries_due ON deliveries (due_at, receiver) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_receiver ON deliveries (receiver, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_line ON deliveries (webhook, status, job);
CREATE INDEX deliveries_webhook ON deliveries (webhook);
CREATE INDEX deliveries_job ON deliveries (job);
CREATE INDEX deliveries_status ON deliveries (status);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- Kept while a webhook asks for changes.
CREATE TABLE outcomes (
  name TEXT PRIMARY KEY,
  good INTEGER NOT NULL,              -- how the last of this name that counts ended
  at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX outcomes_at ON outcomes (at);
