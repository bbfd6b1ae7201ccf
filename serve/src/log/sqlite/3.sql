-- The last line of each client, reports apart: its offset and time, 0 if there is none that is known. It stays when
-- retention deletes the line.
ALTER TABLE sessions ADD COLUMN last_line INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN last_line_ms INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET last_line = newest.offset, last_line_ms = newest.at_ms
FROM (SELECT client, max(offset) AS offset, at_ms FROM lines WHERE kind = 0 GROUP BY client) AS newest
WHERE newest.client = sessions.client;

-- A digest of the request's lines: the same key with others is a mistake. 0: not known.
ALTER TABLE keys ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;
