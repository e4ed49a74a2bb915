"""What it costs: bytes written, processor time at rest, size. Each function adds figures to the report, each beside its
floor."""

import os
import shutil
import subprocess
import time

import rig
from devices import KB, MB, PAGE, Module, Panels, contacts, grouped_floor, milliseconds


def executable(bench):
    stripped = os.path.join(rig.place, "stripped")
    shutil.copy(bench.program, stripped)
    bench.add("executable, as built", os.path.getsize(stripped) / MB, "MB", None)
    if shutil.which("strip"):
        subprocess.run(["strip", stripped], check=True)
        bench.add("executable, stripped", os.path.getsize(stripped) / MB, "MB", None, limit=36, words="36 MB")


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
            bench.program, bench.disk, receiver.port, contacts(64),
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


# ---- What it costs the disk ------------------------------------------------------------------------------------------


def written(bench):
    """Bytes written for an event, on a file system of its own where we may mount one."""
    with rig.own_disk(bench.disk.directory) as own:
        if own is None:
            bench.note("bytes at the device: no file system of its own (needs root); what others write is guessed")
        written_on(own or bench.disk, bench)
        rig.end_processes()


def written_on(disk, bench):
    receiver, panels, inputs = rig.Receiver(), Panels(8), 1000
    module = Module(inputs)
    each, times, alone = (125, 1, 5) if bench.quick else (1250, 10, 30)
    gateway = rig.Gateway(bench.program, disk, receiver.port, panels.devices + module.devices)
    gateway.start()
    receiver.wait(1)
    panels.calls(1)
    module.toggle(2)
    receiver.wait(9 + 2 * inputs)
    gateway.wait_until_drained()
    gateway.wait_until_at_rest()
    floor = rig.Floor(disk.directory, receiver.port)
    floor.ask("append 1 4120")

    def slowly(count, pause, work):
        for _ in range(count):
            work()
            time.sleep(pause)

    def measure(name, events, least, bring, bound):
        """- Parameter least: how many events the floor appends, and what appends them."""
        count, append = least
        floor_bytes, _ = bytes_at(disk, append)
        device, process = bytes_at(disk, bring, gateway)
        if device is None or floor_bytes is None:
            bench.note(f"written, {name}: others wrote so much to the disk that the device's count says nothing")
        else:
            bench.add(
                f"written, {name}, at the device", device / events / KB, "KB/event", floor_bytes / count / KB,
                limit=bound, words=f"{bound} KB")
        bench.add(f"written, {name}, by the process", process / events / KB, "KB/event", None)

    measure(
        "an event alone", alone, (10, lambda: slowly(10, 0.2, lambda: floor.ask(f"append 1 {PAGE}"))),
        lambda: slowly(alone, 2, lambda: panels.peer.ask("call ALONE")), 12)
    receiver.ask("close")
    count = 8 * each
    measure(
        f"{count:,} from 8 panels", count, (count, lambda: grouped_floor(floor, each, 8)),
        lambda: panels.calls(each), 1.2)
    count = times * inputs
    measure(
        f"{inputs:,} a commit", count, (count, lambda: grouped_floor(floor, times, inputs)),
        lambda: module.toggle(times), 1.2)


def bytes_at(disk, work, gateway=None):
    """Bytes that the work, and what it leaves to be written, brought to the device; less what comes by itself in the
    same time, None where that is too much to tell them apart. And bytes as the process counts."""
    disk.settle()
    noise = written_within(disk, 3)
    disk.settle()
    before, own, began = disk.written(), gateway.written() if gateway else 0, time.monotonic()
    work()
    if gateway:
        time.sleep(2.5)  # the gateway's housekeeping has been round
    own = gateway.written() - own if gateway else 0
    disk.settle()
    total, spent = disk.written() - before, time.monotonic() - began
    noise = (noise + written_within(disk, 1)) / 2 * spent
    return (total - noise if noise < total / 4 else None), own


def written_within(disk, seconds):
    """Bytes a second that come to the device by themselves."""
    before = disk.written()
    time.sleep(seconds)
    return (disk.written() - before) / seconds
