"""DC-09 frames, enough to answer plain ones, and `Middle`: a relay before a receiver, that records and can turn hostile."""

import os
import re
import select
import socket
import struct
import threading
import time

HEADER = re.compile(rb'"(\*?)([A-Z-]+)"(\d{4})((?:R[0-9A-F]+)?L[0-9A-F]+#[0-9A-F]+)\[')


def crc(body):
    """CRC-16/ARC."""
    value = 0
    for byte in body:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def frame(body):
    body = body.encode("latin-1")
    return b"\n%04X%04X%s\r" % (crc(body), len(body), body)


def frames(buffer):
    """The whole frames at the beginning of a buffer, and what is left."""
    *whole, rest = buffer.split(b"\r")
    return [part[part.rfind(b"\n"):] + b"\r" for part in whole if b"\n" in part], rest


def answer(token, request, sequence=None, more=""):
    """A reply to a request, under its own or another sequence number."""
    _, _, number, header = HEADER.search(request).groups()
    return frame(f'"{token}"{sequence or number.decode()}{header.decode()}[]{more}')


def nak(timestamp):
    return frame('"NAK"0000R0L0A0[]' + timestamp)


WILD_TIMES = ["_00:00:00,01-01-1970", "_23:59:59,12-31-9999", "_12:00:00,02-29-2000", "_99:99:99,99-99-9999", "",
              "_00:00:00,01-01-0001", "_12:00:00", "_"]  # fmt: skip


def parts(request):
    """Of a request: its sequence number, and its receiver number, line and account as they stand."""
    _, _, number, header = HEADER.search(request).groups()
    return number.decode(), header.decode()


def ack(number, header, token="ACK"):
    return frame(f'"{token}"{number}{header}[]')


def next_numbers(number, count):
    return [f"{(int(number) + n) % 9999 + 1:04}" for n in range(count)]


PORTAL = (
    b"HTTP/1.1 302 Found\r\nLocation: http://login.example/?from=larm\r\nContent-Type: text/html\r\n"
    b"Content-Length: 61\r\nConnection: close\r\n\r\n<html><body>\r\n\"ACK\" Please log in to use this network</body></html>")

# Answers that acknowledge nothing: from a request, its number and header, and what the receiver has said before.
LIES = {
    "another-account": lambda request, number, header, said: ack(number, re.sub("#.*", "#9999", header)),
    "another-line": lambda request, number, header, said: ack(number, header.replace("L", "L7", 1)),
    "another-receiver": lambda request, number, header, said: ack(number, "R5" + header[header.index("L"):]),
    "wrong-checksum": lambda request, number, header, said: b"\n0BAD" + answer("ACK", request)[5:],
    "wrong-length": lambda request, number, header, said: (r := answer("ACK", request))[:5] + b"00FF" + r[9:],
    "earlier-replies": lambda request, number, header, said: b"".join(r for r in said if b"0000" not in r),
    "later-numbers": lambda request, number, header, said: b"".join(ack(n, header) for n in next_numbers(number, 40)),
    "other-duh": lambda request, number, header, said: ack(next_numbers(number, 1)[0], header, "DUH"),
    "cut-short": lambda request, number, header, said: answer("ACK", request)[:-1],
    "no-beginning": lambda request, number, header, said: answer("ACK", request)[1:],
    "echo": lambda request, number, header, said: request,
    "asks-itself": lambda request, number, header, said: ack("0000", header, "NULL"),
    "response": lambda request, number, header, said: ack(number, header, "RSP"),
    "unknown-word": lambda request, number, header, said: ack(number, header, "YES"),
    "nak-without-time": lambda request, number, header, said: nak(""),
    "portal": lambda request, number, header, said: PORTAL,
    "other-protocol": lambda request, number, header, said: b"SSH-2.0-OpenSSH_9.2\r\n",
    "tls-alert": lambda request, number, header, said: bytes.fromhex("15030100020228"),
    "zeros": lambda request, number, header, said: bytes(4096),
    "empty-frames": lambda request, number, header, said: b"\n\r" * 60,
}
# The same where everything is encrypted. What was really said once is the only thing that a stranger can say.
ENCRYPTED_LIES = {
    "plain": lambda request, number, header, said: answer("ACK", request),
    "marked-as-encrypted": lambda request, number, header, said: answer("*ACK", request),
    "random-digits": lambda request, number, header, said: (
        frame(f'"*ACK"{number}{header}[{os.urandom(48).hex().upper()}')),
    "earlier-under-this-number": lambda request, number, header, said: renumbered(said, number),
    "changed": lambda request, number, header, said: renumbered(said, number, flip=True),
    "cut-digits": lambda request, number, header, said: renumbered(said, number, cut=7),
    "earlier-replies": lambda request, number, header, said: b"".join(r for r in said if b'"0000' not in r),
}


def renumbered(said, number, flip=False, cut=0):
    """What the receiver has said to an event once, under another number; may be spoiled as well."""
    for reply in said:
        found = HEADER.search(reply)
        if found and found[3] != b"0000":
            body = reply[9:-1].decode().replace(f'"{found[3].decode()}', f'"{number}', 1)
            body = body[:len(body) - cut]
            return frame(body[:-5] + ("0" if body[-5] != "0" else "1") + body[-4:] if flip else body)
    return b""


class Middle:
    """Between the gateway and a receiver: passes frames on and records them, or does what `mode` says instead.

    pass            forwards both ways
    mute            takes everything, answers nothing
    polls-only      passes link tests on, and is mute to events
    drip            answers a byte a second
    other-sequence  acknowledges another sequence number
    garbage         10 MB of noise for each frame
    endless         noise for ever
    close           closes as soon as a frame is there
    nak-storm       fifty NAKs with wild times for each frame
    duh             refuses everything
    plain-ack       acknowledges without encryption
    key-block       the same, and asks to change the key
    reset           resets the connection as soon as a frame is there
    lie NAME        any of `LIES`, or of `ENCRYPTED_LIES` where the request is encrypted
    """

    def __init__(self, case, upstream, mode="pass", refuses=None):
        host, port = upstream.rsplit(":", 1)
        self.upstream, self.mode, self.refuses = (host, int(port)), mode, refuses
        self.frames, self.said, self.is_over = [], [], False
        self.listener = socket.create_server((case.host, 0))
        self.address = "%s:%d" % self.listener.getsockname()
        case.endings.append(self.close)
        threading.Thread(target=self.listen, daemon=True).start()

    def close(self):
        self.is_over = True
        self.listener.close()

    def listen(self):
        while not self.is_over:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.converse(client)
            except OSError:  # either end hung up
                pass

    def converse(self, client):
        receiver, pending = None, b""
        try:
            while not self.is_over:
                ready = select.select([client, receiver] if receiver else [client], [], [], 0.2)[0]
                if receiver in ready:
                    data = receiver.recv(65536)
                    if not data:
                        return
                    if self.mode in ("pass", "polls-only"):
                        self.said += frames(data)[0]
                        client.sendall(data)
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return
                    whole, pending = frames(pending + data)
                    for request in whole:
                        self.frames.append(request)
                        passes = self.mode == "pass" or self.mode == "polls-only" and b'NULL"' in request
                        if passes and not (self.refuses and self.refuses in request):
                            receiver = receiver or socket.create_connection(self.upstream, timeout=10)
                            receiver.sendall(request)
                        elif not self.misbehave(client, request):
                            return
        finally:
            if receiver:
                receiver.close()

    def misbehave(self, client, request):
        """False when the connection is to be closed."""
        mode = self.mode
        if mode == "pass":  # `refuses` matched
            client.sendall(answer("DUH", request))
        elif mode == "drip":
            for byte in answer("ACK", request):
                if self.mode != mode:
                    return False
                client.sendall(bytes([byte]))
                time.sleep(1)
        elif mode == "other-sequence":
            number = int(HEADER.search(request)[3])
            client.sendall(answer("ACK", request, sequence=f"{number % 9999 + 1:04}"))
        elif mode in ("garbage", "endless"):
            left = 10 << 20
            while left > 0 and self.mode == mode and not self.is_over:
                client.sendall(os.urandom(65536))
                left -= 65536 if mode == "garbage" else 0
        elif mode == "close":
            return False
        elif mode == "nak-storm":
            for index in range(50):
                client.sendall(nak(WILD_TIMES[index % len(WILD_TIMES)]))
        elif mode == "duh":
            client.sendall(answer("DUH", request))
        elif mode == "plain-ack":
            client.sendall(answer("ACK", request))
        elif mode == "key-block":
            client.sendall(answer("ACK", request, more="[K000102030405060708090A0B0C0D0E0F]"))
        elif mode == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        elif mode.startswith("lie "):
            lie = (ENCRYPTED_LIES if b'"*' in request else LIES)[mode.removeprefix("lie ")]
            client.sendall(lie(request, *parts(request), self.said))
            return mode != "lie portal"
        return True
