"""A Galaxy panel's SIA blocks: the panel's side of the line, on a connected socket.

A block is its header (data length, 0x40: answer me), a code, data, and a parity of 0xFF and all before it. An event is
an account (#), the event (N) and an end (0), each acknowledged (8) before the next.
"""

import time

from receiver_line import answer, drain

TRIES = 3


def block(code, data=b""):
    body = bytes([0x40 | len(data)]) + code + data
    parity = 0xFF
    for byte in body:
        parity ^= byte
    return body + bytes([parity])


class Panel:
    def __init__(self, line, account="4712"):
        self.line, self._account = line, account.encode()

    def event(self, code, zone, seconds=30):
        """An event of a zone, "BA"; True when all its blocks were acknowledged."""
        blocks = [block(b"#", self._account), block(b"N", f"ti11:46/{code}{zone:04}".encode()), block(b"0")]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if all(self._say(one) for one in blocks):
                return True
        return False

    def _say(self, data):
        for _ in range(TRIES):
            drain(self.line)
            self.line.sendall(data)
            if answer(self.line, 2, lambda said: b"8" in said[1:2] and len(said) >= 3):
                return True
        return False
