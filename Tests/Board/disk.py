"""A disk with a write cache that a power cut empties.

Killing QEMU loses the guest's page cache but not what the guest has handed to its disk: QEMU leaves that with the host.
Real cards and drives keep writes in a cache of their own until they are told to flush, and lose any of them, in any
order, when the power goes. A program that forgets a sync passes the first and fails the second. So the board's disk is
served by us, over NBD (the fixed newstyle protocol, github.com/NetworkBlockDevice/nbd, doc/proto.md), and every write
that no flush has followed is the test's to keep or lose.
"""

import os
import random
import socket
import struct
import subprocess
import threading

_OPTION_MAGIC, _REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
_EXPORT_NAME, _ABORT, _INFO, _GO = 1, 2, 6, 7
_ACK, _INFO_REPLY, _UNSUPPORTED = 1, 3, 0x80000001
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_HAS_FLAGS, _SEND_FLUSH = 1, 4
_INPUT_OUTPUT_ERROR = 5


class Disk:
    """An ext4 file system of `megabytes`, for one board at a time, on the unix socket `path`."""

    def __init__(self, directory, megabytes=64):
        self.path = os.path.join(directory, "disk.socket")
        image = os.path.join(directory, "disk.image")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, stdin=subprocess.DEVNULL)
        self._size = megabytes << 20
        self._file = os.open(image, os.O_RDWR)
        self._lock = threading.Lock()
        # What the board sees differs from the file by these: (offset, bytes), oldest first.
        self._cached = []
        self.writes = self.flushes = self.lost = 0
        self._talks = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def power_cut(self, chance: random.Random):
        """Each block in the cache reached the disk or did not. Call it when QEMU is gone."""
        for talk in self._talks:
            talk.join()  # What it sent before it died is still on its way to us.
        self._talks.clear()
        with self._lock:
            for offset, data in self._cached:
                for start in range(0, len(data), 4096):
                    if chance.random() < 0.5:
                        os.pwrite(self._file, data[start : start + 4096], offset + start)
                    else:
                        self.lost += 1
            self._cached.clear()

    def close(self):
        self._listener.close()
        with self._lock:
            os.close(self._file)
            self._file = -1

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._talks.append(threading.Thread(target=self._talk, args=(client,), daemon=True))
            self._talks[-1].start()

    def _talk(self, client):
        try:
            with client:
                if self._negotiate(client):
                    while self._transmit(client):
                        pass
        except (ConnectionError, OSError):
            pass  # QEMU was killed: that is what we are for.

    def _negotiate(self, client):
        flags = _HAS_FLAGS | _SEND_FLUSH
        client.sendall(b"NBDMAGIC" + struct.pack(">QH", _OPTION_MAGIC, 3))
        without_zeroes = struct.unpack(">I", _exactly(client, 4))[0] & 2
        while True:
            _, option, length = struct.unpack(">QII", _exactly(client, 16))
            _exactly(client, length)
            if option == _EXPORT_NAME:
                client.sendall(struct.pack(">QH", self._size, flags) + (b"" if without_zeroes else bytes(124)))
                return True
            if option in (_GO, _INFO):
                self._answer(client, option, _INFO_REPLY, struct.pack(">HQH", 0, self._size, flags))
                self._answer(client, option, _ACK)
                if option == _GO:
                    return True
            elif option == _ABORT:
                self._answer(client, option, _ACK)
                return False
            else:
                self._answer(client, option, _UNSUPPORTED)

    @staticmethod
    def _answer(client, option, kind, data=b""):
        client.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, kind, len(data)) + data)

    def _transmit(self, client):
        _, _, command, handle, offset, length = struct.unpack(">IHHQQI", _exactly(client, 28))
        data, error = b"", 0
        if command == _WRITE:
            self._write(offset, _exactly(client, length))
        elif command == _READ:
            data = self._read(offset, length)
        elif command == _FLUSH:
            self._flush()
        elif command == _DISCONNECT:
            return False
        else:
            error = _INPUT_OUTPUT_ERROR
        client.sendall(struct.pack(">IIQ", 0x67446698, error, handle) + data)
        return True

    def _write(self, offset, data):
        with self._lock:
            self.writes += 1
            self._cached.append((offset, data))

    def _read(self, offset, length):
        with self._lock:
            data = bytearray(os.pread(self._file, length, offset))
            for start, new in self._cached:
                first, last = max(start, offset), min(start + len(new), offset + length)
                if first < last:
                    data[first - offset : last - offset] = new[first - start : last - start]
            return bytes(data)

    def _flush(self):
        with self._lock:
            self.flushes += 1
            for offset, data in self._cached:
                os.pwrite(self._file, data, offset)
            self._cached.clear()


def _exactly(client, count):
    data = bytearray()
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return bytes(data)
