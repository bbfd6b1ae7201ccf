-- Sessions that were stored since the table of sessions was last brought up to date, in the order in which they were: rows behind one
-- another cost a few pages for a commit, and rows of a hundred clients in the table a page each.
-- whole: the state; patch: what differs from the client's state before it; neither: there is no state.
CREATE TABLE session_changes (
    id INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    whole BLOB,
    patch BLOB,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    last_row INTEGER NOT NULL,
    last_line INTEGER NOT NULL,
    last_line_ms INTEGER NOT NULL
) STRICT;
