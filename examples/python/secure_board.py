#!/usr/bin/env python3
"""Is a board with keys, written from docs/PROTOCOL.md alone: a start for clients in other languages.

    pblink keys issue kitchen --to kitchen.toml
    python3 secure_board.py kitchen.toml [HOST[:PORT]] [--best-effort]

Lines of standard input go to the server, and those of the server to standard output: each exactly once, and in order,
while this program lives, whatever becomes of connections and servers. At the end of its input it ends when the server
keeps all lines. As a board that loses its power, it forgets lines when it is killed. With --best-effort lines may be
lost, and nothing waits for them.

Needs Python 3.11 and the package `cryptography`, version 38 or newer: python3-cryptography of Debian 12, or from PyPI.
The link itself is in secure_link.py (cryptography and frames) and secure_session.py (states).
"""

import argparse
import os
import select
import socket
import sys
import time
import tomllib

from secure_link import MAX_TEXT, unbase64
from secure_session import DOWN, Board, complain

TIMEOUT = 2.0  # Seconds; the same as the server's `link.timeout`.
MAX_LINE = 2048  # Bytes; a server sends none that is longer.


class Carrier:
    """A TCP connection with classic lines without qos."""

    def __init__(self, address, identity):
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.number, self.heard_any = b"", 0, False
        self.heard = self.said = time.monotonic()
        self.send(identity + "\n\n", self.said)

    def send(self, text, now):
        self.socket.sendall(text.encode())
        self.said = now

    def send_line(self, text, now):
        self.send(f"{self.number:02x}{text}\n", now)
        self.number = self.number % 255 + 1

    def receive(self, now, readable):
        """Returns the lines that have come, acknowledged. A connection that has ended, or is silent, raises OSError."""
        if readable:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server has closed the connection")
            self.buffer, self.heard, self.heard_any = self.buffer + data, now, True
        if now - self.heard >= (TIMEOUT if self.heard_any else 2 * TIMEOUT):
            raise ConnectionError("the server is silent")
        if now - self.said >= TIMEOUT / 4:
            self.send("\n", now)
        *lines, self.buffer = self.buffer.split(b"\n")
        if len(self.buffer) > MAX_LINE:
            raise ConnectionError("the server sends a line without end")
        messages = [line.decode(errors="replace") for line in lines if len(line) > 2]
        if messages:
            self.send("".join(message[:2] + "\n" for message in messages), now)
        return [message[2:] for message in messages]


def read_keys(path):
    if os.stat(path).st_mode & 0o077:
        sys.exit(f"others can read {path}: chmod 600 {path}")
    with open(path, "rb") as file:
        keys = tomllib.load(file)
    return keys | {name: unbase64(keys[name]) for name in ("private", "server", "shared")}


def read_lines(rest):
    """Returns lines of standard input and the beginning of the next one; None: that was all."""
    data = os.read(sys.stdin.fileno(), 65536)
    if not data:
        return [rest], None
    *lines, rest = (rest + data).split(b"\n")
    return lines, rest


def is_text(line):
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return len(line) <= MAX_TEXT


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("keys", help="file that `pblink keys issue ID --to FILE` has written")
    parser.add_argument("server", nargs="?", default="127.0.0.1", help="HOST[:PORT]")
    parser.add_argument("--best-effort", action="store_true", help="lines may be lost")
    options = parser.parse_args()
    keys = read_keys(options.keys)
    host, _, port = options.server.partition(":")
    board, carrier, retry_at, rest = Board(keys, lambda line: print(line, flush=True)), None, 0, b""
    while rest is not None or not board.is_flushed():
        now = time.monotonic()
        if not carrier and now >= retry_at:
            retry_at = now + 1
            try:
                carrier = Carrier((host, int(port or 8123)), keys["id"])
            except OSError as error:
                complain(f"cannot reach the server at {options.server} ({error}); retrying")
        sources = [carrier.socket] if carrier else []
        if rest is not None and len(board.lines) + len(board.datagrams) < 64:
            sources.append(sys.stdin)
        ready, _, _ = select.select(sources, [], [], 0.1)
        now = time.monotonic()
        if sys.stdin in ready:
            lines, rest = read_lines(rest)
            for line in filter(None, lines):
                if not is_text(line):
                    complain(f"not sent: a line that is no text, or is longer than {MAX_TEXT} bytes")
                elif options.best_effort:
                    board.datagrams.append(line)
                else:
                    board.write(line, now)
        if carrier:
            try:
                lines = carrier.receive(now, carrier.socket in ready)
                if carrier.heard_any and not board.carrier:
                    board.on_server(True, now)
                for line in lines:
                    board.on_line(line, now)
                for line in board.poll(now):
                    carrier.send_line(line, now)
                if board.state != DOWN and now - board.heard >= 30:
                    raise ConnectionError("nothing that is valid comes from the server")
            except OSError as error:
                complain(f"{error}; connecting again")
                carrier.socket.close()
                carrier = None
                board.on_server(False, now)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
