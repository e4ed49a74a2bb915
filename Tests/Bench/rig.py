"""The benchmark's workshop: a place on a real disk, the gateway under measurement, its peers and floors."""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs", "overlay", "devtmpfs", "zfs", "nfs", "nfs4", "9p", "virtiofs"}


class Failure(Exception):
    """Something could not be measured; in words for whoever runs the benchmark."""


def wait(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"Waited {seconds} s in vain: {what}.")
        time.sleep(0.05)


def others_at_work():
    """The share of all processors that is in use while we only wait (proc(5), stat)."""
    def reading():
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, rest, waiting, *other = (int(word) for word in file.readline().split()[1:9])
        return user + nice + system + sum(other), user + nice + system + sum(other) + rest + waiting
    busy, every = reading()
    time.sleep(1)
    busy_now, every_now = reading()
    return (busy_now - busy) / max(1, every_now - every)


# ---- The disk --------------------------------------------------------------------------------------------------------


class Disk:
    """A directory, its file system, and what the kernel counts of the block device below."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.directory = os.path.realpath(directory)
        best = ""
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            for line in mounts:
                words = line.split()
                point = words[4].replace("\\040", " ")
                if (self.directory + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                    best, self.file_system, number = point, words[words.index("-") + 1], words[2]
        self.counts = f"/sys/dev/block/{number}/stat"
        self.is_real = self.file_system not in MEMORY_FILE_SYSTEMS and os.path.exists(self.counts)

    def settle(self):
        """What is still to be written of this file system is written."""
        subprocess.run(["sync", "-f", self.directory], check=True)

    def written(self):
        """Bytes written to the device (Documentation/block/stat.rst: field 7, in sectors of 512 bytes)."""
        with open(self.counts, encoding="ascii") as file:
            return int(file.read().split()[6]) * 512


@contextlib.contextmanager
def own_disk(directory):
    """A file system that nobody else writes to, so that its device's counts are ours; None where we may not mount."""
    image, point = os.path.join(directory, "disk.img"), os.path.join(directory, "disk")
    os.makedirs(point, exist_ok=True)
    quiet = {"check": True, "capture_output": True}
    try:
        with open(image, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 192 << 20)
        # Blocks as on a card or a large disk; nothing is left to be written later.
        options = ["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
        subprocess.run(["mkfs.ext4", *options, image], **quiet)
        subprocess.run(["mount", "-o", "loop", image, point], **quiet)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield Disk(point)
    finally:
        subprocess.run(["umount", "-l", point], check=False)


# ---- Processes -------------------------------------------------------------------------------------------------------

place = ""  # a directory for what need not be on the disk: sockets, pseudo-terminals, programs
running = set()


def begin():
    global place
    place = tempfile.mkdtemp(prefix="larmnod-bench-")


def end_processes():
    for process in list(running):
        process.kill()
        running.discard(process)


def words():
    """What the gateways have said, for whoever must find out why something could not be measured."""
    return "".join(process.words() for process in running if isinstance(process, Gateway))


def end():
    end_processes()
    shutil.rmtree(place, ignore_errors=True)


def compile_all():
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Failure("There is no C compiler: the floors and peers are written in C. Install gcc.")
    options = {"delay": [], "floor": [], "peers": ["-lutil"], "preload": ["-fPIC", "-shared", "-ldl"]}
    for name, libraries in options.items():
        source = os.path.join(HERE, name + ".c")
        command = [compiler, "-std=gnu11", "-O2", "-o", os.path.join(place, name), source, *libraries]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f"{source} cannot be compiled:\n{done.stderr}")


def free_port():
    """Below the ports that the system gives to connections, so that it stays free while nobody listens on it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def processor_time(pid):
    """Nanoseconds on a processor of all threads, those that have ended too: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


class Peer:
    """One of the C programs: a command in, a line out."""

    def __init__(self, program, *arguments, greets=True):
        self.name = " ".join(map(str, (program, *arguments[:1])))
        self.process = subprocess.Popen(
            [os.path.join(place, program), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.add(self)
        if greets:
            self.line()

    def line(self):
        line = self.process.stdout.readline().decode("utf-8", "replace")
        if not line:
            raise Failure(f"{self.name} has ended (status {self.process.wait()})")
        return line.rstrip("\n")

    def tell(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command):
        self.tell(command)
        return self.line()

    def numbers(self, command):
        return [int(word) for word in self.ask(command).split()]

    def lines(self, command):
        self.tell(command)
        return list(iter(self.line, "end"))

    def kill(self):
        running.discard(self)
        self.process.kill()
        self.process.wait()


class Receiver(Peer):
    """The centre that answers at once."""

    def __init__(self):
        self.port = free_port()
        super().__init__("peers", "receiver", self.port)

    def wait(self, count, seconds=60):
        """Until so many events have been heard. - Returns: the first's and the last's time, in nanoseconds."""
        heard, first, last = self.numbers(f"wait {count} {seconds}")
        if heard < count:
            raise Failure(f"The centre heard {heard} of {count} events within {seconds} s.")
        return first, last

    def heard(self):
        """Every event: (time, size of the frame, data)."""
        for line in self.lines("dump"):
            time_, size, data = line.split(" ", 2)
            yield int(time_), int(size), data


class Floor(Peer):
    """What any program would need, on the same disk and to the same receiver."""

    def __init__(self, directory, port, size=110):
        super().__init__("floor", "serve", os.path.join(directory, "floor.log"), port, size, greets=False)


# ---- The gateway -----------------------------------------------------------------------------------------------------


class Gateway:
    """The program under measurement, with a state directory of its own."""

    def __init__(self, program, disk, port, devices="", environment=None, centre="", paths=None, site=""):
        """- Parameters:
        - site: more settings of the site.
        - centre: more settings of the one receiver, at `port`.
        - paths: receivers and paths to them, instead of that one."""
        self.program = program
        self.directory = tempfile.mkdtemp(dir=disk.directory, prefix="gateway-")
        self.state = os.path.join(self.directory, "state")
        self.configuration = os.path.join(self.directory, "site.toml")
        self.socket = os.path.join(place, os.path.basename(self.directory))
        self.syncs_file = os.path.join(place, os.path.basename(self.directory) + ".syncs")
        with open(self.syncs_file, "wb") as file:
            file.write(bytes(8))
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(
                f'[site]\nname = "Benchmark"\naccount = "4711"\nclock = "trusted"\nstate = "{self.state}"\n'
                f'socket = "{self.socket}"\n{site}'
                + (paths or f'[receiver.centre]\naddress = "127.0.0.1:{port}"\n{centre}[path.line]\nreceiver = "centre"\n')
                + devices)
        self.environment = {
            **os.environ, "LD_PRELOAD": os.path.join(place, "preload"), "BENCH_SYNCS": self.syncs_file,
            **(environment or {})}
        self.log = os.memfd_create("log")  # no writes to the disk but the gateway's own
        self.pid = 0

    def start(self):
        """- Returns: the time just before, in nanoseconds."""
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, self.log, 1),
            (os.POSIX_SPAWN_DUP2, self.log, 2)]
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.pid = os.posix_spawn(
            self.program, [self.program, "run", "--config", self.configuration], self.environment, file_actions=actions,
            setsigdef=[signal.SIGPIPE])
        running.add(self)
        return began

    def _end(self, number):
        if self.pid:
            os.kill(self.pid, number)
            os.waitpid(self.pid, 0)
        self.pid = 0
        running.discard(self)

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def words(self):
        """The end of what it has logged."""
        size = os.lseek(self.log, 0, os.SEEK_END)
        return os.pread(self.log, 2000, max(0, size - 2000)).decode("utf-8", "replace")

    @contextlib.contextmanager
    def frozen(self):
        """The gateway holds still, for the floors to have the machine to themselves."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _number(self, file, name):
        with open(f"/proc/{self.pid}/{file}", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))

    def syncs(self):
        """Calls of fsync and fdatasync since the first start; None where the program takes no preloaded library."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            if "preload" not in maps.read():
                return None
        with open(self.syncs_file, "rb") as file:
            return int.from_bytes(file.read(8), "little")

    def written(self):
        """Bytes that the process made dirty (proc(5), io: write_bytes)."""
        return self._number("io", "write_bytes")

    def memory(self):
        """Resident and unreclaimable bytes: pages that only this process has, and that no file could give back."""
        return self._number("status", "VmRSS") * 1024, self._number("smaps_rollup", "Private_Dirty") * 1024

    def wake_ups(self):
        """Of each thread: how often it has gone to sleep, and so been woken (proc(5), voluntary_ctxt_switches)."""
        woken = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/status", encoding="utf-8") as file:
                woken[thread] = next(int(line.split()[1]) for line in file if line.startswith("voluntary"))
        return woken

    def wait_until_drained(self):
        """Nothing waits, and that is written."""
        wait("nothing waits any more", lambda: self.stored("state = 0") == 0, 120)

    def wait_until_at_rest(self):
        """It has written nothing for three seconds: what it makes once, as room for its files, is made."""
        quiet_since, before = time.monotonic(), self.written()
        end = quiet_since + 30
        while time.monotonic() < min(end, quiet_since + 3):
            time.sleep(0.2)
            if self.written() != before:
                quiet_since, before = time.monotonic(), self.written()

    def stored(self, condition="1"):
        """Events in its store for which this holds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/outbox.db?mode=ro", uri=True)) as store:
            return store.execute(f"SELECT count(*) FROM event WHERE {condition}").fetchone()[0]
