-- Clients that named themselves, so that each gets on its next connection what it has not acknowledged.

CREATE TABLE watchers (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,      -- the last event that it has, as far as it said
  seen_at INTEGER NOT NULL   -- when it was last connected
) WITHOUT ROWID;

CREATE INDEX watchers_seen ON watchers (seen_at);
