#!/usr/bin/env python3
"""Checks secure_link.py with the vectors of secure-suite/tests/vectors.

    python3 secure_vectors.py ../../secure-suite/tests/vectors
"""

import json
import pathlib
import sys

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from secure_link import Cipher, Forged, Handshake, hello, nonce, packet, unbase64


def check(name, found, expected):
    if found != expected:
        sys.exit(f"{name} is {found}, not {expected}")


def the_pattern(vector):
    """The handshake and the messages that others have published."""
    data = {name: bytes.fromhex(text) for name, text in vector.items() if isinstance(text, str) and name != "protocol_name"}
    messages = [{name: bytes.fromhex(text) for name, text in message.items()} for message in vector["messages"]]
    handshake = Handshake(
        data["init_prologue"],
        data["init_static"],
        data["init_remote_static"],
        bytes.fromhex(vector["init_psks"][0]),
        data["init_ephemeral"],
    )
    check("the first message", handshake.first(messages[0]["payload"]), messages[0]["ciphertext"])
    reply = messages[1]["ciphertext"]
    for at in range(len(reply)):
        forged = reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :]
        try:
            handshake.finish(forged)
        except Forged:
            continue
        sys.exit(f"a reply with another byte {at} is taken")
    payload, *keys = handshake.finish(reply)
    check("the payload of the reply", payload, messages[1]["payload"])
    check("the hash", handshake.hash, data["handshake_hash"])
    for number, message in enumerate(messages[2:]):
        sealed = ChaCha20Poly1305(keys[number % 2]).encrypt(nonce(number // 2), message["payload"], b"")
        check(f"message {number + 2}", sealed, message["ciphertext"])


def the_link(vector):
    """The lines of the secure link."""
    keys = {
        "id": vector["id"],
        "generation": vector["generation"],
        "private": bytes.fromhex(vector["board_private"]),
        "server": bytes.fromhex(vector["server_public"]),
        "shared": bytes.fromhex(vector["shared"]),
    }
    number, challenge = vector["key_number"], unbase64(vector["challenge_line"][2:])
    handshake, said = hello(keys, number, challenge, bytes.fromhex(vector["board_ephemeral"]))
    check("the hello", packet("h", said), vector["hello_line"])
    reply = unbase64(vector["reply_line"][2:])
    check("the number of the key", reply[0], number)
    payload, up, down = handshake.finish(reply[1:])
    check("the time", int.from_bytes(payload, "big"), vector["now_ms"])
    key = Cipher(number, up, down, 0)
    # A counter is used up before its packet is sealed.
    key.sent = vector["up"]["counter"] - 1
    check("the packet up", key.seal(bytes.fromhex(vector["up"]["frames"])), vector["up"]["line"])
    sealed = unbase64(vector["down"]["line"][2:])
    check("the packet down", key.open(sealed), bytes.fromhex(vector["down"]["frames"]))
    check("the packet again", key.open(sealed), None)


def main():
    folder = pathlib.Path(sys.argv[1])
    the_pattern(json.loads((folder / "kkpsk0.json").read_text()))
    the_link(json.loads((folder / "pblink.json").read_text()))
    print("all is as the vectors have it")


if __name__ == "__main__":
    main()
