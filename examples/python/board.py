#!/usr/bin/env python3
"""Answers the lines of one board. The server runs it, once for each board:

    pblink serve --exec 'python3 examples/python/board.py' --exec-ack

Lines of the board come on standard input; what is printed goes to the board, and standard error to the server's
diagnostics. After a line has been worked on, "done" is said: the line and its answers are then one step, and
happen exactly once, whatever is killed.
"""

import json
import os
import sys

DONE = json.dumps({"pblink": "done"})


def work(board, line):
    """Returns the lines that go back. What is to be different for you is here."""
    try:
        number, *_ = json.loads(line)
    except (ValueError, TypeError):
        print(f"not a list: {line!r}", file=sys.stderr)
        return []
    return [json.dumps({"board": board, "number": number})]


def main():
    board = os.environ["PBLINK_CLIENT"]
    print("is served", file=sys.stderr, flush=True)
    for line in sys.stdin:
        for answer in work(board, line.rstrip("\n")):
            print(answer)
        print(DONE, flush=True)


if __name__ == "__main__":
    main()
