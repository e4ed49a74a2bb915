"""DC-09 frames, enough to answer plain ones, and `Middle`: a relay before a receiver, that records and can turn hostile."""

import os
import re
import select
import socket
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
    """

    def __init__(self, case, upstream, mode="pass", refuses=None):
        host, port = upstream.rsplit(":", 1)
        self.upstream, self.mode, self.refuses = (host, int(port)), mode, refuses
        self.frames, self.is_over = [], False
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
        return True
