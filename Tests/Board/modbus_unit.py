"""A Modbus RTU input module: the unit's side of the line, on a connected socket, on a thread of its own.

MODBUS over Serial Line V1.02, 2.5.1 (frame, CRC); Modbus Application Protocol V1.1b3, 6.2 (Read Discrete Inputs).
"""

import threading


def _crc(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class Unit:
    """Eight discrete inputs of one unit. While `answers` is false it is silent, as without power."""

    def __init__(self, line, unit=3):
        self.line, self._unit = line, unit
        self.inputs, self.answers, self.requests = 0, True, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        said = b""
        try:
            while more := self.line.recv(256):
                said = (said + more)[-256:]
                # A request of these functions has eight bytes; what does not fit is dropped from the front.
                while len(said) >= 8:
                    if _crc(said[:6]) != said[6:8]:
                        said = said[1:]
                        continue
                    self._answer(said[:6])
                    said = said[8:]
        except OSError:
            return  # The board is off.

    def _answer(self, request):
        if request[0] != self._unit or not self.answers:
            return
        self.requests += 1
        first, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if request[1] != 2 or first + count > 8:
            reply = bytes([self._unit, request[1] | 0x80, 1 if request[1] != 2 else 2])
        else:
            reply = bytes([self._unit, 2, 1, (self.inputs >> first) & ((1 << count) - 1)])
        self.line.sendall(reply + _crc(reply))
