#!/usr/bin/env python3
"""Stores the lines of all boards in an SQLite file, each exactly once.

    python3 store.py [--once] [URL [FILE]]

The cursor is in the same transaction as the lines: whenever this program or the server is killed, it goes on
behind the last line that it has. Only Python's own library is needed.
"""

import json
import sqlite3
import sys
import time
import urllib.error
import urllib.request


def open_store(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE IF NOT EXISTS lines (offset INTEGER PRIMARY KEY, client TEXT, time TEXT, text TEXT)")
    db.execute("CREATE TABLE IF NOT EXISTS cursor (log TEXT, offset INTEGER)")
    return db


def cursor(db):
    return db.execute("SELECT log, offset FROM cursor").fetchone() or (None, 0)


def fetch(url, log, after, wait):
    """Returns the next lines. `log` names the log that `after` belongs to."""
    query = f"{url}/api/v1/lines?after={after}&limit=1000&wait={wait}s"
    if log:
        query += f"&log={log}"
    with urllib.request.urlopen(query, timeout=wait + 30) as answer:
        return json.load(answer)


def store(db, page):
    """Stores lines and cursor together."""
    with db:
        db.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?)",
            [
                (line["offset"], line["client"], line["time"], line["text"])
                for line in page["lines"]
                if line["kind"] == "line"
            ],
        )
        db.execute("DELETE FROM cursor")
        db.execute("INSERT INTO cursor VALUES (?, ?)", (page["log"], page["after"]))


def main(args):
    once = "--once" in args
    args = [arg for arg in args if arg != "--once"]
    url = args[0] if args else "http://127.0.0.1:8124"
    db = open_store(args[1] if len(args) > 1 else "lines.db")
    while True:
        log, after = cursor(db)
        try:
            page = fetch(url, log, after, wait=0 if once else 30)
        except urllib.error.HTTPError as error:
            # 409: another log. 410: lines were deleted before they were read. Both are for a person to decide.
            sys.exit(f"{error.code}: {json.load(error)['error']}")
        except (urllib.error.URLError, OSError) as error:
            if once:
                sys.exit(f"cannot reach {url}: {error}")
            # The server is away: it keeps the lines.
            time.sleep(1)
            continue
        store(db, page)
        if once and page["after"] >= page["head"]:
            count = db.execute("SELECT count(*) FROM lines").fetchone()[0]
            print(f"{count} lines in all")
            return


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        pass
