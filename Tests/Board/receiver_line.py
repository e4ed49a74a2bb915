"""An alarm receiver's computer port in Sur-Gard's form: the receiver's side of the line, on a connected socket.

Sur-Gard MLR2 and System III manuals: a message ends with DC4 and is said again until it is acknowledged within 4 s; a
link test goes out when nothing else does.
"""

import time

_ACK, _DC4 = b"\x06", b"\x14"
TRIES = 4


class Receiver:
    def __init__(self, line):
        self.line = line

    def link_test(self, seconds=30):
        """Until it is answered: the gateway may just have opened the port."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._say(b"1011           @    "):
                return True
        return False

    def contact_id(self, account, code, zone, area=1, restore=False):
        """One event of a transmitter; True when it was acknowledged."""
        said = f"5011 18{account}{'R' if restore else 'E'}{code:03}{area:02}{zone:03}"
        return any(self._say(said.encode()) for _ in range(TRIES))

    def _say(self, message):
        drain(self.line)
        self.line.sendall(message + _DC4)
        return answer(self.line, 4, lambda said: said[-1:] == _ACK)


def drain(line):
    """Throws away what was said before: it is no answer to what follows."""
    line.setblocking(False)
    try:
        while line.recv(4096):
            pass
    except BlockingIOError:
        pass
    line.setblocking(True)


def answer(line, seconds, wanted):
    """What comes within the time, once it is what is wanted; else nothing."""
    said, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            more = line.recv(1)
        except TimeoutError:
            return b""
        if not more:
            return b""
        said += more
        if wanted(said):
            return said
    return b""
