-- class: 0 what happens to links and server, 1 reports, 2 strangers. Each has its own limit, so that neither reports nor
-- strangers push an outage out.
ALTER TABLE events ADD COLUMN class INTEGER NOT NULL DEFAULT 0;
UPDATE events SET class = CASE json_extract(json, '$.event')
    WHEN 'report' THEN 1
    WHEN 'refused' THEN 2
    WHEN 'forgotten' THEN 2
    ELSE 0
END WHERE json_valid(json);
CREATE INDEX events_by_class ON events (class, id);
