"""The board's state table of docs/PROTOCOL.md. It has no connection and no clock: its owner does."""

import collections
import os
import sys

from secure_link import (
    CLOSE, DATA, DATAGRAM, KEY, KEYED, PING, PONG, PROGRESS, RESUME, Cipher, Forged, Pieces, frame, frames, hello, packet, piece, unbase64,
)

WINDOW = 8
ROOM = 125  # Bytes of frames in a packet to the server.
NOT_SUPPORTED = 3  # The outcome of a key that is given over the link.
DOWN, GREET, SHAKE, PROVE, UP = range(5)


def complain(text):
    print(text, file=sys.stderr, flush=True)


class Board:
    """The board's state table. `deliver` gets each line, and has it in safety when it returns."""

    def __init__(self, keys, deliver):
        self.keys, self.deliver = keys, deliver
        self.carrier, self.state, self.since, self.out = False, DOWN, 0, []
        # Handshakes. `next` are keys that the server has not proven to have.
        self.current = self.next = self.handshake = self.challenge = None
        self.number, self.begun, self.pause, self.pause_until = 0, 0, 2, 0
        self.asks = self.tries = self.closed_until = self.renew_at = 0
        # Times of the server's last valid packet and of our last PING or RESUME.
        self.heard = self.asked = 0
        # Lines from the server. What is received is done: it is delivered at once.
        self.server, self.received, self.pieces, self.unsaid = 0, 0, Pieces(), False
        self.ping = self.pong = False
        # The generation of a shared key that the server has given: this board keeps none.
        self.refused = 0
        # Lines to the server, until it keeps them: (number, text, when written). In flight: (number, when sent, sent before).
        self.epoch = int.from_bytes(os.urandom(8), "big") or 1
        self.lines, self.written, self.taken, self.sent = collections.deque(), 0, 0, 0
        self.flight, self.part, self.credit = collections.deque(), 0, 1
        self.round_trip, self.timeout = None, 2
        # Lines that may be lost, either way.
        self.datagrams, self.datagram_number, self.datagram_at = collections.deque(), 0, 0
        self.datagram_pieces = Pieces()

    def write(self, text, now):
        """Keeps a line for the server, as bytes."""
        self.written += 1
        self.lines.append((self.written, text, now))

    def is_flushed(self):
        return not self.lines and not self.datagrams

    # What comes

    def on_server(self, up, now):
        """Notes that there is a way to the server, or none."""
        self.enter(DOWN, now)
        self.carrier, self.heard = up, now
        self.handshake = self.challenge = None
        self.out.clear()

    def on_line(self, line, now):
        """Takes a line of the carrier."""
        try:
            kind, data = line[:2], unbase64(line[2:])
        except ValueError:
            return
        if self.state == DOWN:
            return
        if kind == "~c" and len(data) == 16:
            self.challenge = data
        elif kind == "~r" and len(data) == 57 and self.handshake and data[0] == self.number:
            self.on_reply(data[1:], now)
        elif kind == "~t" and len(data) >= 20:
            self.on_sealed(data, now)

    def on_reply(self, message, now):
        try:
            _, up, down = self.handshake.finish(message)
        except Forged:
            return
        self.next = Cipher(self.number, up, down, now)
        self.handshake = self.challenge = None
        self.pause = 2
        # The keys before serve until the new ones are proven. Lines wait for that.
        self.tries = 0
        self.show(now) if self.state == UP else self.prove(now)

    def on_sealed(self, data, now):
        opened = self.next and self.next.open(data)
        if opened:
            if opened[0] != RESUME:
                return
            self.current, self.next = self.next, None
        else:
            opened = self.current and self.current.open(data)
        if not opened:
            return
        self.heard = now
        for kind, fields in frames(opened):
            self.on_frame(kind, fields, now)
        if self.state == PROVE and not self.next:
            self.enter(UP, now)
            self.asks, self.unsaid = 0, True
            self.go_back()

    def on_frame(self, kind, fields, now):
        if kind == RESUME:
            self.on_resume(*fields)
        elif kind == DATA:
            number, previous, place, _, data = fields
            self.unsaid = True
            # While the answer to RESUME is awaited, numbers may mean other lines.
            if not self.next and previous <= self.received < number:
                text = self.pieces.take(number, place, data)
                if text is not None:
                    self.on_text(text)
                    self.received = number
        elif kind in (PROGRESS, PING, PONG):
            self.on_progress(*fields, now)
            self.pong |= kind == PING
        elif kind == DATAGRAM:
            self.on_text(self.datagram_pieces.take(*fields) or b"")
        elif kind == KEY:
            self.refused = fields[0]
        elif kind == CLOSE:
            complain(f"the server closes the link for a minute (reason {fields[0]})")
            self.on_server(True, now)
            self.closed_until = now + 60

    def on_text(self, text):
        try:
            if text and b"\n" not in text:
                self.deliver(text.decode())
        except UnicodeDecodeError:
            complain("the server has sent a line that is no text")

    def on_resume(self, epoch, _first, peer, received, done, fresh):
        if peer == self.epoch:
            self.forget(min(done, self.written))
            self.taken = min(received, self.written)
            self.sent = max(self.sent, self.taken)
            self.go_back()
            self.round_trip, self.timeout = None, 2
        self.pieces.number, self.unsaid = None, True
        if epoch != self.server:
            self.server = epoch
            if fresh:
                self.received = 0

    def on_progress(self, received, done, credit, now):
        self.credit = credit
        received = min(received, self.sent)
        if received > self.taken:
            if received > (self.flight[-1][0] if self.flight else self.taken):
                self.part = 0
            self.taken = received
            while self.flight and self.flight[0][0] <= received:
                _, sent, again = self.flight.popleft()
                if not again:
                    old = now - sent if self.round_trip is None else self.round_trip
                    self.round_trip = (7 * old + now - sent) / 8
            if self.round_trip is not None:
                self.timeout = min(max(3 * self.round_trip, 0.5), 8)
        self.forget(min(done, self.taken))

    def forget(self, done):
        while self.lines and self.lines[0][0] <= done:
            self.lines.popleft()

    def go_back(self):
        self.flight.clear()
        self.part = 0

    # What is due

    def enter(self, state, now):
        if (self.state == UP) != (state == UP):
            complain("up" if state == UP else "down")
            if self.datagram_at:
                self.datagrams.popleft()
                self.datagram_at = 0
        self.state, self.since = state, now

    def greet(self, now):
        self.enter(GREET, now)
        self.handshake = None
        self.out.append(packet("q", os.urandom(8)))

    def ask_again(self, now):
        self.asks += 1
        if self.asks == 5:
            complain("the server does not answer: does it have the keys of this board?")
        self.greet(now)

    def shake(self, now):
        self.number = (self.number + 1) % 256
        self.handshake, data = hello(self.keys, self.number, self.challenge)
        self.challenge, self.begun = None, now
        self.pause_until, self.pause = now + self.pause, min(2 * self.pause, 60)
        if self.state == GREET:
            self.enter(SHAKE, now)
        self.out.append(packet("h", data))

    def prove(self, now):
        self.enter(PROVE, now)
        self.tries = 0
        self.show(now)

    def show(self, now):
        self.since = self.asked = now
        if self.next:
            first = self.lines[0][0] if self.lines else self.written + 1
            self.say(self.next, frame(RESUME, self.epoch, first, self.server, self.received, self.received, 0))
        else:
            self.say(self.current, frame(PING, self.received, self.received, WINDOW))

    def say(self, key, data):
        self.out.append(key.seal(data))

    def poll(self, now):
        """Does what is due, and returns the packets to be sent."""
        if self.carrier and now >= self.closed_until:
            self.act(now)
        out, self.out = self.out, []
        return out

    def act(self, now):
        if self.state == DOWN:
            (self.prove if self.current or self.next else self.greet)(now)
        if self.handshake and now - self.begun >= 3:
            self.handshake = None
            if self.state == SHAKE:
                self.ask_again(now)
        if self.current and self.current.is_worn(now, 1 << 22, 25):
            self.current = self.next = None
            self.greet(now)
        if self.challenge and not self.handshake and now >= self.pause_until and self.state in (GREET, PROVE, UP):
            self.shake(now)
        if self.state == GREET and now - self.since >= (2 if self.asks < 5 else 10):
            self.ask_again(now)
        elif self.state == UP and now - self.heard >= 12:
            self.prove(now)
        elif self.state == PROVE or self.state == UP and self.next:
            if now - self.since >= 1:
                self.tries += 1
                if self.tries < 3:
                    self.show(now)
                else:
                    self.next = None if self.current else self.next
                    if self.state == PROVE:
                        self.greet(now)
        elif self.state == UP:
            if self.flight and now - self.flight[0][1] >= self.timeout:
                self.go_back()
                self.timeout = min(2 * self.timeout, 8)
            # What was said of received lines and credit may be lost, however busy the link is.
            self.ping |= now - self.asked >= 5
            if now >= self.renew_at and self.current.is_worn(now, 1 << 20, 24):
                self.renew_at = now + 10
                self.out.append(packet("q", os.urandom(8)))
            while data := self.fill(now):
                self.say(self.current, data)

    def fill(self, now):
        """Returns the frames of a packet with all that is to be said."""
        kind = PONG if self.pong else PING if self.ping else PROGRESS if self.unsaid else None
        self.pong, self.ping = self.pong and kind != PONG, self.ping and kind != PING
        self.asked = now if kind == PING else self.asked
        self.unsaid = False
        data = frame(kind, self.received, self.received, WINDOW) if kind else b""
        if self.refused:
            data += frame(KEYED, self.refused, NOT_SUPPORTED)
            self.refused = 0
        while more := self.next_datagram(ROOM - len(data)) or self.next_data(ROOM - len(data), now):
            data += more
        return data

    def next_datagram(self, room):
        if not self.datagrams:
            return b""
        text, at = self.datagrams[0], self.datagram_at
        place, part = piece(text, at, room - len(frame(DATAGRAM, 0, at << 1, b"")))
        if not part:
            return b""
        data = frame(DATAGRAM, self.datagram_number, place, part)
        self.datagram_at += len(part)
        if not place & 1:
            self.datagrams.popleft()
            self.datagram_number, self.datagram_at = (self.datagram_number + 1) % 256, 0
        return data

    def next_data(self, room, now):
        number = (self.flight[-1][0] if self.flight else self.taken) + 1
        if number > self.written or not self.part and len(self.flight) >= min(self.credit, WINDOW):
            return b""
        _, text, written = self.lines[number - self.lines[0][0]]
        head, age = (number, number - 1), int(1000 * (now - written))
        place, part = piece(text, self.part, room - len(frame(DATA, *head, self.part << 1, age, b"")))
        if not part:
            return b""
        self.part += len(part)
        if not place & 1:
            self.flight.append((number, now, number <= self.sent))
            self.sent, self.part = max(self.sent, number), 0
        return frame(DATA, *head, place, age, part)
