"""Handshake, packets and frames of the secure link, as docs/PROTOCOL.md has them.

Needs the package `cryptography`, version 38 or newer.
"""

import base64
import copy
import hashlib
import hmac
import io
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION, MAX_TEXT = 1, 1024
RESUME, DATA, PROGRESS, PING, PONG, DATAGRAM, EVENT, CLOSE, KEY, KEYED, SETTLED = range(1, 12)


# Cryptography


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def nonce(number):
    return bytes(4) + number.to_bytes(8, "little")


class Forged(Exception):
    """A message that was not made with the right keys."""


class Handshake:
    """The initiator of Noise_KKpsk0_25519_ChaChaPoly_SHA256."""

    def __init__(self, prologue, private, server, psk, ephemeral=None):
        self.private = X25519PrivateKey.from_private_bytes(private)
        self.ephemeral = X25519PrivateKey.from_private_bytes(ephemeral or os.urandom(32))
        self.server, self.psk, self.key = server, psk, None
        self.hash = self.chain = hashlib.sha256(b"Noise_KKpsk0_25519_ChaChaPoly_SHA256").digest()
        for part in (prologue, public(self.private), server):
            self.mix_hash(part)

    def mix_hash(self, data):
        self.hash = hashlib.sha256(self.hash + data).digest()

    def derive(self, data, count):
        root, out = mac(self.chain, data), [b""]
        for n in range(count):
            out.append(mac(root, out[-1], bytes([n + 1])))
        return out[1:]

    def mix_key(self, data):
        self.chain, self.key = self.derive(data, 2)

    def mix_exchange(self, private, other):
        self.mix_key(private.exchange(X25519PublicKey.from_public_bytes(other)))

    def first(self, payload=b""):
        """Returns the message with psk, e, es and ss."""
        self.chain, hashed, self.key = self.derive(self.psk, 3)
        self.mix_hash(hashed)
        ephemeral = public(self.ephemeral)
        self.mix_hash(ephemeral)
        self.mix_key(ephemeral)
        self.mix_exchange(self.ephemeral, self.server)
        self.mix_exchange(self.private, self.server)
        sealed = ChaCha20Poly1305(self.key).encrypt(nonce(0), payload, self.hash)
        self.mix_hash(sealed)
        return ephemeral + sealed

    def finish(self, message):
        """Takes the message with e, ee and se; returns its payload and the keys up and down. A forged one raises Forged, and
        changes nothing: the server's may still come."""
        end = copy.copy(self)
        ephemeral, sealed = message[:32], message[32:]
        end.mix_hash(ephemeral)
        end.mix_key(ephemeral)
        try:
            end.mix_exchange(self.ephemeral, ephemeral)
            end.mix_exchange(self.private, ephemeral)
            payload = ChaCha20Poly1305(end.key).decrypt(nonce(0), sealed, end.hash)
        except (InvalidTag, ValueError) as error:
            raise Forged from error
        end.mix_hash(sealed)
        self.hash = end.hash
        return payload, *end.derive(b"", 2)


class Cipher:
    """The keys that a handshake has made, and their counters."""

    def __init__(self, number, up, down, now):
        self.number, self.up, self.down = number, ChaCha20Poly1305(up), ChaCha20Poly1305(down)
        self.sent, self.heard, self.made = 0, 0, now

    def is_worn(self, now, packets, hours):
        return max(self.sent, self.heard) >= packets or now - self.made >= hours * 3600

    def seal(self, frames):
        self.sent += 1
        head = bytes([self.number]) + self.sent.to_bytes(3, "big")
        return packet("t", head + self.up.encrypt(nonce(self.sent), frames, b""))

    def open(self, data):
        """Returns the frames of a packet, or None."""
        counter = int.from_bytes(data[1:4], "big")
        if data[0] != self.number or counter <= self.heard:
            return None
        try:
            frames = self.down.decrypt(nonce(counter), data[4:], b"")
        except InvalidTag:
            return None
        self.heard = counter
        return frames


def hello(keys, number, challenge, ephemeral=None):
    """Returns a handshake, and the bytes that begin it at the server."""
    identity, generation = keys["id"].encode(), keys["generation"].to_bytes(4, "big")
    head = bytes([VERSION]) + generation + bytes([number, len(identity)]) + identity
    handshake = Handshake(b"pblink2" + head + challenge, keys["private"], keys["server"], keys["shared"], ephemeral)
    said = bytes([VERSION, number]) + generation + handshake.first()
    key = mac(mac(bytes(32), keys["shared"]), b"pblink mac1", b"\1")
    return handshake, said + mac(key, challenge, said)[:16]


# Packets and frames


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def packet(letter, data):
    return "~" + letter + base64.urlsafe_b64encode(data).decode().rstrip("=")


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


# The fields of a frame: b is a byte, e an epoch, v a varint, c counted bytes, g a generation, s a shared key.
FIELDS = {
    RESUME: "evevvb", DATA: "vvvvc", PROGRESS: "vvb", PING: "vvb", PONG: "vvb", DATAGRAM: "bvc", EVENT: "bc", CLOSE: "b",
    KEY: "gs", KEYED: "gb", SETTLED: "g",
}
WRITE = {
    "b": lambda number: bytes([number]),
    "e": lambda number: number.to_bytes(8, "big"),
    "v": varint,
    "g": lambda number: number.to_bytes(4, "big"),
    "s": bytes,
    "c": lambda data: bytes([len(data)]) + data,
}


def frame(kind, *values):
    return bytes([kind]) + b"".join(WRITE[field](value) for field, value in zip(FIELDS[kind], values))


def frames(data):
    """Yields the kind of each frame and its fields. One that cannot be read is the last."""
    source = io.BytesIO(data)

    def take(count):
        taken = source.read(count)
        if len(taken) < count:
            raise ValueError
        return taken

    def number():
        value = 0
        for shift in range(0, 70, 7):
            byte = take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError

    read = {
        "b": lambda: take(1)[0],
        "e": lambda: int.from_bytes(take(8), "big"),
        "v": number,
        "g": lambda: int.from_bytes(take(4), "big"),
        "s": lambda: take(32),
        "c": lambda: take(take(1)[0]),
    }
    try:
        while kind := source.read(1):
            yield kind[0], [read[field]() for field in FIELDS[kind[0]]]
    except (ValueError, KeyError):
        return


class Pieces:
    """Puts lines together."""

    def __init__(self):
        self.number, self.text = None, b""

    def take(self, number, place, data):
        """Returns the line that ends with this piece, b"" for one that is too long, else None."""
        if place >> 1 == 0:
            self.number, self.text = number, b""
        if (self.number, len(self.text)) != (number, place >> 1):
            return None
        self.text += data
        if len(self.text) > MAX_TEXT:
            self.number, self.text = None, b""
        elif place & 1:
            return None
        return self.text


def piece(text, at, room):
    """Returns the place and the bytes of the piece that begins at `at`."""
    part = text[at : at + max(0, min(room, 255))]
    return at << 1 | (at + len(part) < len(text)), part
