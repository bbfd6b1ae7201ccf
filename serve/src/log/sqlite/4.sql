-- When a board wrote a line, if it has said so: milliseconds since the Unix epoch.
ALTER TABLE lines ADD COLUMN written_ms INTEGER;
