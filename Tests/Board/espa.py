"""A fire panel's ESPA 4.4.4 output: the control station's side of the line, on a connected socket.

ESPA 4.4.4 (November 1984): section 3 the sequence, 4.1 the block, 4.3 the records.
"""

import time

ACK, NAK, EOT, ENQ = b"\x06", b"\x15", b"\x04", b"\x05"
_SOH, _STX, _ETX, _RS, _US = b"\x01", b"\x02", b"\x03", b"\x1e", b"\x1f"


def block(text, address="999", kind="3", priority="1"):
    """A call to pager (header 1): call address, text, call type, priority, and the check byte."""
    records = [("1", address), ("2", text), ("4", kind), ("6", priority)]
    body = b"1" + _STX + _RS.join(n.encode() + _US + v.encode("latin-1") for n, v in records) + _ETX
    check = 0
    for byte in body:
        check ^= byte
    return _SOH + body + bytes([check])


class Panel:
    def __init__(self, line):
        self.line = line

    def poll(self, seconds=20):
        """Asks the gateway for traffic, again until it answers as it must, EOT: it may just be opening the port, and until
        that is set the kernel echoes what comes."""
        end, said = time.monotonic() + seconds, b""
        while said != EOT and time.monotonic() < end:
            self._send(EOT + b"2" + ENQ)
            said = self._reply(2, (EOT,))
        return said

    def select(self, seconds=20):
        """Polls itself and selects the gateway, again until it is ready."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._send(EOT + b"1" + ENQ)
            self._send(b"2" + ENQ)
            if self._reply(2, (ACK, NAK)) == ACK:
                return True
        return False

    def offer(self, data, seconds=5):
        """One block; the answer: ACK, NAK with its reason before it, or nothing."""
        self._send(data)
        return self._reply(seconds, (ACK, NAK))

    def call(self, text, seconds=5, **records):
        """A whole transmission, with the two tries that a panel makes. True when the gateway has said "received"."""
        answer = b""
        if self.select():
            for _ in range(2):
                answer = self.offer(block(text, **records), seconds)
                if answer == ACK:
                    break
        self._send(EOT)
        return answer == ACK

    def _send(self, data):
        self.line.setblocking(False)
        try:
            while self.line.recv(4096):
                pass  # What the gateway said before we spoke is no answer to this.
        except BlockingIOError:
            pass
        self.line.setblocking(True)
        self.line.sendall(data)

    def _reply(self, seconds, ends):
        said, end = b"", time.monotonic() + seconds
        while not said.endswith(ends):
            left = end - time.monotonic()
            if left <= 0:
                break
            self.line.settimeout(left)
            try:
                more = self.line.recv(1)
            except TimeoutError:
                break
            if not more:
                break
            said += more
        return said
