"""What is measured. Each function adds figures to the report, each beside its floor, and leaves nothing running."""

import math
import os
import random
import shutil
import statistics
import subprocess
import threading
import time

import rig

KB, MB = 1024, 1024 * 1024
ROW = 200  # bytes that an event of ours takes, generously: the floors write so much for each
PAGE, PAGE_DATA = 4120, 4096


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def milliseconds(nanoseconds):
    return nanoseconds / 1e6


class Panels:
    """Fire panels on pseudo-terminals, and the configuration that listens to them."""

    def __init__(self, count):
        self.links = [os.path.join(rig.place, f"panel-{number}") for number in range(1, count + 1)]
        self.peer = rig.Peer("peers", "panels", *self.links)
        self.devices = rig.panels(self.links)

    def calls(self, each):
        """Every panel calls so often. - Returns: nanoseconds for all."""
        count, first, last = self.peer.numbers(f"calls {each}")
        if count != each * len(self.links):
            raise rig.Failure(f"The panels were acknowledged {count} calls of {each * len(self.links)}.")
        return last - first


class Module:
    """An input module all of whose inputs change at once, and the configuration that reads it."""

    def __init__(self, inputs, interval="20ms"):
        self.inputs, self.port = inputs, rig.free_port()
        self.peer = rig.Peer("peers", "modbus", self.port, inputs)
        self.devices = rig.module(self.port, inputs, interval)

    def toggle(self, times):
        """- Returns: nanoseconds from the first change to the last one stored."""
        _, first, last = self.peer.numbers(f"toggle {times}")
        return last - first


def grouped_floor(floor, count, events_each):
    """Nanoseconds for so many synced appends of a group of events each."""
    pages = math.ceil(events_each * ROW / PAGE_DATA)
    return sum(floor.numbers(f"append {count} {pages * PAGE}"))


# ---- How soon --------------------------------------------------------------------------------------------------------


def latency(bench):
    """One call after another on a quiet site; the floor's append and trip follow each."""
    count = 100 if bench.quick else 1000
    receiver, panels = rig.Receiver(), Panels(1)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices)
    gateway.start()
    receiver.wait(1)
    panels.calls(1)
    receiver.wait(2)
    size = next(size for _, size, data in receiver.heard() if "PANEL 1" in data)
    floor = rig.Floor(bench.disk.directory, receiver.port, size)
    floor.ask("pair")
    receiver.ask("reset")
    called, answered, pairs, appends = {}, [], [], []
    for number in range(count):
        began, acknowledged = panels.peer.numbers(f"call BENCH {number}.")
        called[f"BENCH {number}."] = began
        answered.append(acknowledged - began)
        receiver.wait(2 * number + 1)
        append, trip = floor.numbers("pair")
        appends.append(append)
        pairs.append(append + trip)
        time.sleep(random.uniform(0.002, 0.02))
    heard = {data[data.index("BENCH"):]: time_ for time_, _, data in receiver.heard() if "BENCH" in data}
    delays = [heard[text] - began for text, began in called.items()]
    for share in (0.5, 0.99):
        mark = f"p{share * 100:.0f}"
        least = milliseconds(percentile(pairs, share))
        bench.add(
            f"event to ACK at the receiver, {mark}", milliseconds(percentile(delays, share)), "ms", least,
            limit=2 * least + 2 if share > 0.5 else None, words="2 x floor + 2 ms")
    for share in (0.5, 0.99):
        bench.add(
            f"event to ACK to the panel, p{share * 100:.0f}", milliseconds(percentile(answered, share)), "ms",
            milliseconds(percentile(appends, share)))
    bench.note(f"latency: {count} calls, one at a time")


# ---- How many --------------------------------------------------------------------------------------------------------


def bursts(bench):
    """10,000 events while the centre is away, from panels and from a module; then they drain."""
    receiver, panels, inputs = rig.Receiver(), Panels(8), 1000
    module = Module(inputs)
    each, times = (125, 1) if bench.quick else (1250, 10)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    gateway.start()
    floor = rig.Floor(bench.disk.directory, receiver.port)
    receiver.wait(1)
    panels.calls(1)
    module.toggle(2)  # every point has been at rest once
    receiver.wait(9 + 2 * inputs)
    time.sleep(2)
    bench.memory(gateway, "after start")
    receiver.ask("close")

    burst(bench, gateway, floor, f"{8 * each:,} events in, from 8 panels", 8 * each, 8, lambda: panels.calls(each))
    bench.memory(gateway, f"{8 * each:,} events waiting")
    drain(bench, gateway, receiver, panels, 8 * each)
    bench.memory(gateway, "after the drain")

    receiver.ask("close")
    burst(
        bench, gateway, floor, f"{times * inputs:,} events in, {inputs:,} a commit", times * inputs, inputs,
        lambda: module.toggle(times))
    receiver.kill()
    drain_to_store(bench, gateway, receiver.port, panels, times * inputs)


def burst(bench, gateway, floor, name, count, group, bring):
    """The floor: so many events, synced in groups of so many; half before and half after."""
    halves = max(1, count // group // 2)
    with gateway.frozen():
        least = grouped_floor(floor, halves, group)
    stored, syncs = gateway.stored(), gateway.syncs()
    spent = bring()
    if (new := gateway.stored() - stored) < count:
        raise rig.Failure(f"{name}: {new} were stored.")
    syncs = None if syncs is None else (gateway.syncs() - syncs) / count
    with gateway.frozen():
        least += grouped_floor(floor, halves, group)
    bench.add(name, count * 1e9 / spent, "events/s", 2 * halves * group * 1e9 / least)
    if syncs is not None:
        bench.add("  syncs an event", syncs, "", 1 / group)


def drain(bench, gateway, receiver, panels, count):
    """What waits goes to a centre that answers at once; the floor is as many trips to the same one."""
    trips = max(100, count // 4)
    with gateway.frozen():
        receiver.ask("open")
        floor = rig.Floor(bench.disk.directory, receiver.port)
        floor.ask("trips 1000")
        least = floor.numbers(f"trips {trips}")
        receiver.ask("reset")
    panels.calls(1)  # something urgent: a path that waits for its next try is tried now
    first, last = receiver.wait(count)
    receiver.wait(gateway.stored("state = 0"))
    with gateway.frozen():
        least += floor.numbers(f"trips {trips}")
    drained = (count - 1) * 1e9 / (last - first)
    floor_rate = len(least) * 1e9 / sum(least)
    bench.add("drained over one path", drained, "events/s", floor_rate, at_least=0.6 * floor_rate, words="60 % of floor")
    floor.kill()


def drain_to_store(bench, gateway, port, panels, count):
    """The same to a receiver that has every event on disk before its ACK; its own feed tells when."""
    trips = max(100, count // 10)
    centre = subprocess.Popen(
        [bench.program, "receive", "--listen", f"127.0.0.1:{port}", "--store",
         os.path.join(bench.disk.directory, "centre.jsonl")],
        env={**os.environ, "LD_PRELOAD": os.path.join(rig.place, "preload.so")}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    rig.running.add(centre)
    times = []
    reader = threading.Thread(
        target=lambda: times.extend(time.monotonic_ns() for line in centre.stdout if b"FLOOR" not in line), daemon=True)
    reader.start()
    with gateway.frozen():
        time.sleep(0.5)
        floor = rig.Floor(bench.disk.directory, port)
        least = floor.numbers(f"trips {trips}")
    panels.calls(1)
    rig.wait("all that waits is drained", lambda: len(times) >= count, 120)
    with gateway.frozen():
        least += floor.numbers(f"trips {trips}")
    drained, floor_rate = (count - 1) * 1e9 / (times[count - 1] - times[0]), len(least) * 1e9 / sum(least)
    bench.add(
        "drained to larmnod receive --store", drained, "events/s", floor_rate, at_least=0.6 * floor_rate,
        words="60 % of floor")
    rig.running.discard(centre)
    centre.kill()
    centre.wait()


# ---- What it costs the disk ------------------------------------------------------------------------------------------


def written(bench):
    """Bytes written for an event, on a file system of its own where we may mount one."""
    with rig.own_disk(bench.disk.directory) as own:
        disk = own or bench.disk
        if own is None:
            bench.note("bytes at the device: no file system of its own (needs root); what others write is in it")
        receiver, panels, inputs = rig.Receiver(), Panels(8), 1000
        module = Module(inputs)
        each, times, alone = (125, 1, 5) if bench.quick else (1250, 10, 30)
        gateway = rig.Gateway(bench.program, disk, receiver.port, panels.devices + module.devices)
        gateway.start()
        receiver.wait(1)
        panels.calls(1)
        module.toggle(2)
        receiver.wait(9 + 2 * inputs)
        floor = rig.Floor(disk.directory, receiver.port)
        time.sleep(2)

        def events_alone():
            for _ in range(alone):
                panels.peer.ask("call ALONE")
                time.sleep(2)

        def floor_alone():
            for _ in range(10):
                floor.ask(f"append 1 {PAGE}")
                time.sleep(0.2)

        least = bytes_at(disk, floor_alone)[0] / 10
        device, process = bytes_at(disk, events_alone, gateway)
        bench.add("written an event alone, at the device", device / alone / KB, "KB", least / KB, limit=12, words="12 KB")
        bench.add("  as the process counts", process / alone / KB, "KB", PAGE / KB)
        receiver.ask("close")
        count, rounds = 8 * each, each
        least = bytes_at(disk, lambda: grouped_floor(floor, rounds, 8))[0] / count
        device, process = bytes_at(disk, lambda: panels.calls(each), gateway)
        bench.add(
            f"written an event, {count:,} from 8 panels, device", device / count / KB, "KB", least / KB, limit=1.2,
            words="1.2 KB")
        bench.add("  as the process counts", process / count / KB, "KB", PAGE / 8 / KB)
        count = times * inputs
        least = bytes_at(disk, lambda: grouped_floor(floor, times, inputs))[0] / count
        device, process = bytes_at(disk, lambda: module.toggle(times), gateway)
        bench.add(
            f"written an event, {inputs:,} a commit, device", device / count / KB, "KB", least / KB, limit=1.2,
            words="1.2 KB")
        bench.add("  as the process counts", process / count / KB, "KB", ROW / KB)
        rig.end_processes()


def bytes_at(disk, work, gateway=None):
    """Bytes that the work, and what it leaves to be written, brought to the device; less what comes by itself in the
    same time. And bytes as the process counts."""
    disk.settle()
    quiet = disk.written()
    time.sleep(3)
    idle = (disk.written() - quiet) / 3
    disk.settle()
    before, own, began = disk.written(), gateway.written() if gateway else 0, time.monotonic()
    work()
    if gateway:
        time.sleep(2.5)  # the gateway's housekeeping has been round
    own = gateway.written() - own if gateway else 0
    disk.settle()
    return max(0, disk.written() - before - idle * (time.monotonic() - began)), own


# ---- What it costs when nothing happens ------------------------------------------------------------------------------


def idle(bench):
    """Processor time with 64 points at rest: on a Modbus module, and on the board's own lines."""
    receiver, seconds = rig.Receiver(), 5 if bench.quick else 30
    module = Module(64, interval=None)
    poller = rig.Peer("floor", "poll", module.port, 250, greets=False)
    measured = {"64 Modbus points": rig.Gateway(bench.program, bench.disk, receiver.port, module.devices)}
    board, library = board_of_lines(64), os.path.join(rig.place, "gpio")
    if board:
        measured["64 GPIO lines"] = rig.Gateway(
            bench.program, bench.disk, receiver.port, rig.contacts(64),
            {"LD_LIBRARY_PATH": library, "LARMNOD_FAKE_GPIO": board})
    else:
        bench.note("64 GPIO lines: the stand-in for libgpiod cannot be built (it needs libgpiod-dev 1.6)")
    for gateway in measured.values():
        gateway.start()
    receiver.wait(len(measured))
    time.sleep(3)
    pids = {name: gateway.pid for name, gateway in measured.items()} | {"floor": poller.process.pid}
    before, woken = ({name: rig.processor_time(pid) for name, pid in pids.items()},
                     {name: gateway.wake_ups() for name, gateway in measured.items()})
    time.sleep(seconds)
    spent = {name: milliseconds(rig.processor_time(pid) - before[name]) / seconds for name, pid in pids.items()}
    for name, gateway in measured.items():
        has_floor = "Modbus" in name
        bench.add(f"idle, {name}: processor time", spent[name], "ms/s", spent["floor"] if has_floor else None)
        wakes = sum(count - woken[name].get(thread, count) for thread, count in gateway.wake_ups().items())
        bench.add("  wake-ups", wakes / seconds, "/s", 4 if has_floor else None)


def board_of_lines(lines):
    """A board of the stand-in for libgpiod; None where it cannot be built."""
    directory = os.path.join(rig.place, "gpio", "board")
    os.makedirs(directory)
    build = os.path.join(rig.REPOSITORY, "Tests", "Standins", "libgpiod", "build.sh")
    if subprocess.run([build, os.path.dirname(directory)], capture_output=True, check=False).returncode:
        return None
    with open(os.path.join(directory, "board"), "w", encoding="ascii") as file:
        file.write(f"chip gpiochip0 bench {lines}\n")
    return directory


# ---- Size, and starting ----------------------------------------------------------------------------------------------


def executable(bench):
    stripped = os.path.join(rig.place, "stripped")
    shutil.copy(bench.program, stripped)
    bench.add("executable, as built", os.path.getsize(stripped) / MB, "MB", None)
    if shutil.which("strip"):
        subprocess.run(["strip", stripped], check=True)
        bench.add("executable, stripped", os.path.getsize(stripped) / MB, "MB", None, limit=36, words="36 MB")


def start(bench):
    """From the start of the process to the ACK of its first event. The floor: a C program that opens its file, appends,
    connects and makes one trip."""
    receiver, panels, module = rig.Receiver(), Panels(1), Module(64)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    rig.Floor(bench.disk.directory, receiver.port).ask("append 1 4120")
    times, least = [], []
    for _ in range(3 if bench.quick else 10):
        receiver.ask("reset")
        began = gateway.start()
        times.append(receiver.wait(1)[0] - began)
        time.sleep(0.2)
        gateway.stop()
        least.append(start_floor(bench, receiver))
    report_starts(bench, "start to first ACK", times, least, 100)


def start_floor(bench, receiver):
    receiver.ask("reset")
    program = os.path.join(rig.place, "floor")
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    arguments = [program, "first", os.path.join(bench.disk.directory, "floor.log"), str(receiver.port), "110"]
    pid = os.posix_spawn(program, arguments, os.environ)
    os.waitpid(pid, 0)
    return receiver.wait(1)[0] - began


def report_starts(bench, name, times, least, limit):
    for word, chosen in (("median", statistics.median), ("longest", max)):
        bench.add(
            f"{name}, {word}", milliseconds(chosen(times)), "ms", milliseconds(chosen(least)), limit=limit,
            words=f"{limit} ms")


def crash(bench):
    """kill -9 with 5,000 waiting; from the new start to the first of them acknowledged. Killed again at once, so that
    as good as all of them still wait the next time."""
    receiver, inputs = rig.Receiver(), 1000
    module, panels = Module(inputs), Panels(1)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    rig.Floor(bench.disk.directory, receiver.port).ask("append 1 4120")
    gateway.start()
    receiver.wait(1)
    module.toggle(2)
    receiver.wait(1 + 2 * inputs)
    receiver.ask("close")
    module.toggle(5)
    gateway.kill()
    times, least, waiting = [], [], []
    for _ in range(2 if bench.quick else 5):
        waiting.append(gateway.stored("state = 0"))
        receiver.ask("open")
        receiver.ask("reset")
        began = gateway.start()
        times.append(receiver.wait(1)[0] - began)
        gateway.kill()
        least.append(start_floor(bench, receiver))
        receiver.ask("close")
    report_starts(bench, "kill -9, 5,000 waiting, to first ACK", times, least, 100)
    bench.note(f"kill -9: {min(waiting):,} to {max(waiting):,} events waited at each start")
