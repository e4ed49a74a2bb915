#!/usr/bin/env python3
"""An ESPA 4.4.4 control station (the alarm panel), for demonstrations and tests. Python 3, no other parts.

It polls its stations as a panel does (EOT, "1 ENQ" only when it has a call; "2 ENQ" to ask for news), and sends the
calls that it is told on standard input, each tried twice before it gives up with EOT.

    espa_panel.py --link /tmp/panel            opens a pseudo-terminal; /tmp/panel leads to the end for the transmitter
    espa_panel.py --device /dev/ttyUSB0        uses a real port (set its line with stty first, or --line "9600 8N1")

It prints "ready PATH" once, then one line for each command: "call N ACK tries=1", "call N NAK2 tries=2",
"call N SILENT tries=2" (no answer), "call N UNSELECTED" (the transmitter did not answer the select). With --verbose the
bytes, as recordings write them, with a time. N counts the commands.

Commands, one a line:
    call ADDRESS "TEXT" [priority=1] [beep=5] [type=3] [transmissions=3] [header=1]
    {"address": "999", "text": "Brand", "priority": 1}        the same as JSON
    raw HEX           a select, then these bytes as they are
    broken            a call with a wrong checksum, twice
    direct on|off     select without polling itself first, as some panels do
    silence SECONDS   say nothing (a cable pulled)
    noise COUNT       random bytes
    quit
"""
import argparse, codecs, json, os, random, select, shlex, signal, sys, termios, time, tty

SOH, STX, ETX, EOT, ENQ, ACK, NAK, RS, US = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", 6, 0x15, b"\x1e", b"\x1f"
RECORDS = {"address": 1, "text": 2, "beep": 3, "type": 4, "transmissions": 5, "priority": 6, "status": 7, "system": 8}


def swedish(text):
    """ISO 646-SE, as 7-bit panels write."""
    return text.translate(str.maketrans("ÄÖÅäöåÜüÉé", "[\\]{|}^~@`")).encode("ascii", "replace")


def block(fields, charset):
    encode = swedish if charset == "iso646-se" else lambda text: text.encode(charset, "replace")
    header = str(fields.pop("header", 1)).encode()
    unknown = set(fields) - set(RECORDS)
    if unknown:
        raise ValueError(f"no such record: {', '.join(sorted(unknown))}; known: {', '.join(RECORDS)}")
    records = [str(RECORDS[name]).encode() + US + encode(str(value)) for name, value in fields.items()]
    body = header + STX + RS.join(records) + ETX
    checksum = 0
    for byte in body:
        checksum ^= byte
    return SOH + body + bytes([checksum])


class Panel:
    def __init__(self, descriptor, options):
        self.descriptor, self.options, self.direct = descriptor, options, False
        self.station = options.station.encode()

    def say(self, direction, data):
        if self.options.verbose and data:
            print(f"{time.strftime('%H:%M:%S')} {direction} {data.hex(' ').upper()}", flush=True)

    def send(self, data):
        self.say("<", data)
        while data:
            try:
                data = data[os.write(self.descriptor, data):]
            except BlockingIOError:
                select.select([], [self.descriptor], [], 0.1)

    def read(self):
        try:
            data = os.read(self.descriptor, 256)
        except (BlockingIOError, OSError):  # EIO: nobody has the other end open
            return b""
        self.say(">", data)
        return data

    def answer(self, timeout):
        """ACK, NAK with its reason, EOT, or nothing within the time."""
        end, before = time.monotonic() + timeout, b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.descriptor], [], [], left)[0]:
                break
            data = self.read()
            if not data:
                time.sleep(0.02)
            for byte in data:
                if byte == ACK:
                    return "ACK"
                if byte == NAK:
                    return "NAK" + before[-1:].decode("ascii", "replace")
                if byte == EOT[0]:
                    return "EOT"
                before += bytes([byte])
        return "SILENT"

    def poll(self):
        self.read()
        self.send(EOT + self.station + ENQ)
        return self.answer(self.options.timeout)

    def call(self, data):
        """The outcome of a call: select, then the block at most twice, then EOT."""
        for _ in range(self.options.selects):
            self.read()
            self.send(EOT)
            if not self.direct:
                self.send(b"1" + ENQ)
            self.send(self.station + ENQ)
            if self.answer(self.options.timeout) == "ACK":
                break
            time.sleep(0.2)
        else:
            self.send(EOT)
            return "UNSELECTED"
        for attempt in (1, 2):
            self.send(data)
            outcome = self.answer(self.options.answer)
            if outcome == "ACK":
                break
        self.send(EOT)
        return f"{outcome} tries={attempt}"


def fields_of(line):
    if line.startswith("{"):
        return json.loads(line)
    words = shlex.split(line)[1:]
    if len(words) < 2:
        raise ValueError('expected: call ADDRESS "TEXT" [priority=1]')
    return {"address": words[0], "text": words[1], **dict(word.split("=", 1) for word in words[2:])}


def obey(panel, number, line):
    word, _, rest = line.partition(" ")
    if word == "call" or word.startswith("{"):
        print(f"call {number} {panel.call(block(fields_of(line), panel.options.charset))}", flush=True)
    elif word == "raw":
        print(f"raw {number} {panel.call(bytes.fromhex(rest))}", flush=True)
    elif word == "broken":
        data = block({"address": "999", "text": "broken"}, "ascii")
        print(f"broken {number} {panel.call(data[:-1] + bytes([data[-1] ^ 0x55]))}", flush=True)
    elif word == "direct":
        panel.direct = rest == "on"
        print(f"direct {number} {'on' if panel.direct else 'off'}", flush=True)
    elif word == "silence":
        time.sleep(float(rest))
        print(f"silence {number} over", flush=True)
    elif word == "noise":
        panel.send(bytes(random.randrange(256) for _ in range(int(rest))))
        print(f"noise {number} sent", flush=True)
    elif word == "quit":
        return False
    else:
        raise ValueError("no such command")
    return True


def set_line(descriptor, text):
    speed, framing = text.split()
    settings = termios.tcgetattr(descriptor)
    flags = termios.CREAD | termios.CLOCAL | (termios.CS7 if framing[0] == "7" else termios.CS8)
    flags |= {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}[framing[1].upper()]
    flags |= termios.CSTOPB if framing[2] == "2" else 0
    settings[2], settings[4], settings[5] = flags, getattr(termios, f"B{speed}"), getattr(termios, f"B{speed}")
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


def open_line(options):
    if options.device:
        descriptor = os.open(options.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        if os.isatty(descriptor):
            tty.setraw(descriptor)
            set_line(descriptor, options.line)
        return descriptor, options.device, None
    master, slave = os.openpty()  # our own open slave keeps the line up while the transmitter restarts
    tty.setraw(slave)
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    if options.link:
        if os.path.islink(options.link):
            os.unlink(options.link)
        os.symlink(path, options.link)
    return master, options.link or path, slave


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--link", help="a symbolic link to make to the pseudo-terminal")
    where.add_argument("--device", help="a serial port, or a pseudo-terminal that exists")
    parser.add_argument("--line", default="9600 8N1", help="of a real port")
    parser.add_argument("--station", default="2", help="the transmitter's address")
    parser.add_argument("--charset", default="latin-1", help="iso646-se, or one that Python knows")
    parser.add_argument("--poll", type=float, default=1.0, help="seconds between polls; 0: none")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds for an answer to a poll or select")
    parser.add_argument("--answer", type=float, default=5.0, help="seconds for the answer to a block")
    parser.add_argument("--selects", type=int, default=10, help="tries to select before a call is given up")
    parser.add_argument("--verbose", action="store_true", help="print the bytes")
    options = parser.parse_args()
    if options.charset != "iso646-se":
        codecs.lookup(options.charset)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})  # a starter may have blocked them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    descriptor, path, slave = open_line(options)
    panel, number, pending, listening = Panel(descriptor, options), 0, b"", True
    print(f"ready {path}", flush=True)
    next_poll = time.monotonic() + options.poll
    try:
        while True:
            wait = max(0.0, next_poll - time.monotonic()) if options.poll else 3600
            if select.select([0] if listening else [], [], [], wait)[0]:
                data = os.read(0, 4096)
                listening = bool(data)
                pending += data
                *lines, pending = pending.split(b"\n")
                for line in filter(None, (raw.decode("utf-8", "replace").strip() for raw in lines)):
                    number += 1
                    try:
                        if not obey(panel, number, line):
                            return
                    except (ValueError, KeyError, TypeError, AttributeError) as error:
                        print(f"error {number} {error}", flush=True)
            if options.poll and time.monotonic() >= next_poll:
                panel.poll()
                next_poll = time.monotonic() + options.poll
    except KeyboardInterrupt:
        pass
    finally:
        if options.link and os.path.islink(options.link):
            os.unlink(options.link)


if __name__ == "__main__":
    main()
