-- All that boards sent, in one order. No further index: one on (client, offset) halves what can be written.
CREATE TABLE lines (
    offset INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    client TEXT PRIMARY KEY,
    state BLOB,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    last_row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- held: 1 for lines of a log that was restored from a backup. Nobody knows whether they were sent.
CREATE TABLE outbox (
    client TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    row INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    PRIMARY KEY (client, held, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    row INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    consumer TEXT NOT NULL,
    client TEXT NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (consumer, client)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at_ms);

-- id, generation, nonce: the identity of the log, see identity.rs.
-- first, next: offsets of the oldest line and of the next one, as of the last deletion.
-- next_event: number of the next event, as of the last deletion.
-- bytes, counted: the weight of the lines with offsets below `counted`.
-- alive_ms: when a server was last alive.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
