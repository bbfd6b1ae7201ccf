#!/usr/bin/env python3
"""Prints pblink.json: one handshake of the secure link and a frame each way, made without any code of this project.

Needs the package `cryptography`. Whoever writes an end in another language can compare with what it prints, or begin with
it: it is all that the handshake needs.

Example:   python3 pblink.py > pblink.json
"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def dh(private, other):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(other))


def seal(key, counter, ad, plain):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + counter.to_bytes(8, "little"), plain, ad)


class Drbg:
    """HMAC-DRBG with SHA-256, NIST SP 800-90A, 10.1.2."""

    def __init__(self, seed):
        self.key, self.value = bytes(32), b"\1" * 32
        self.update(seed)

    def update(self, data=b""):
        for part in (b"\0", b"\1") if data else (b"\0",):
            self.key = mac(self.key, self.value, part, data)
            self.value = mac(self.key, self.value)

    def draw(self, length):
        out = b""
        while len(out) < length:
            self.value = mac(self.key, self.value)
            out += self.value
        self.update()
        return out[:length]


class Symmetric:
    """SymmetricState of the Noise specification, 5.2."""

    def __init__(self, name, prologue):
        self.h = self.ck = hashlib.sha256(name).digest() if len(name) > 32 else name.ljust(32, b"\0")
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def derive(self, data, count):
        root, out = mac(self.ck, data), [b""]
        for n in range(count):
            out.append(mac(root, out[-1], bytes([n + 1])))
        return out[1:]

    def mix_key(self, data):
        self.ck, self.k = self.derive(data, 2)

    def mix_key_and_hash(self, data):
        self.ck, h, self.k = self.derive(data, 3)
        self.mix_hash(h)

    def seal(self, plain):
        sealed = seal(self.k, 0, self.h, plain)
        self.mix_hash(sealed)
        return sealed


def pattern(n):
    """Bytes that are not random, and look it."""
    return hashlib.sha256(b"pblink vector %d" % n).digest()


identity, generation, number, version = "küche-1".encode(), 0x01020304, 5, 1
board, server, shared, server_ephemeral = (pattern(n) for n in range(4))
seed, challenge, now_ms = pattern(4) + pattern(5), pattern(6)[:16], 1_764_000_000_000
drbg = Drbg(seed)
drbg.update(challenge)
ephemeral = drbg.draw(32)

prologue = (
    b"pblink2" + bytes([version]) + generation.to_bytes(4, "big") + bytes([number])
    + bytes([len(identity)]) + identity + challenge
)
noise = Symmetric(b"Noise_KKpsk0_25519_ChaChaPoly_SHA256", prologue)
noise.mix_hash(public(board))
noise.mix_hash(public(server))
# -> psk, e, es, ss
noise.mix_key_and_hash(shared)
noise.mix_hash(public(ephemeral))
noise.mix_key(public(ephemeral))
noise.mix_key(dh(ephemeral, public(server)))
noise.mix_key(dh(board, public(server)))
first = public(ephemeral) + noise.seal(b"")
# <- e, ee, se
noise.mix_hash(public(server_ephemeral))
noise.mix_key(public(server_ephemeral))
noise.mix_key(dh(server_ephemeral, public(ephemeral)))
noise.mix_key(dh(server_ephemeral, public(board)))
second = public(server_ephemeral) + noise.seal(now_ms.to_bytes(8, "big"))
up, down = noise.derive(b"", 2)

hello = bytes([version, number]) + generation.to_bytes(4, "big") + first
hello_key = mac(mac(bytes(32), shared), b"pblink mac1", b"\1")
hello += mac(hello_key, challenge, hello)[:16]


def line(letter, *parts):
    return "~" + letter + base64.urlsafe_b64encode(b"".join(parts)).decode().rstrip("=")


def traffic(key, counter, frames):
    head = bytes([number]) + counter.to_bytes(3, "big")
    return {"counter": counter, "frames": frames.hex(), "line": line("t", head, seal(key, counter, b"", frames))}


def fingerprint(key):
    bits = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 14
    digits = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ"[bits >> 5 * n & 31] for n in reversed(range(10))]
    return "".join(digits[:5]) + "-" + "".join(digits[5:])


print(json.dumps({
    "id": identity.decode(),
    "generation": generation,
    "key_number": number,
    "board_private": board.hex(),
    "board_public": public(board).hex(),
    "board_fingerprint": fingerprint(public(board)),
    "server_private": server.hex(),
    "server_public": public(server).hex(),
    "shared": shared.hex(),
    "drbg_seed": seed.hex(),
    "challenge": challenge.hex(),
    "board_ephemeral": ephemeral.hex(),
    "server_ephemeral": server_ephemeral.hex(),
    "now_ms": now_ms,
    "prologue": prologue.hex(),
    "hello_key": hello_key.hex(),
    "challenge_line": line("c", challenge),
    "hello_line": line("h", hello),
    "reply_line": line("r", bytes([number]), second),
    "up": traffic(up, 0, b"frames from the board"),
    "down": traffic(down, 0xFFFFFF, b"frames from the server"),
}, indent=1, ensure_ascii=False))
