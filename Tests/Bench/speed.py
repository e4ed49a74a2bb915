"""How soon and how many: latency, bursts, draining, starting. Each function adds figures to the report, each beside its
floor."""

import math
import os
import random
import statistics
import subprocess
import threading
import time

import rig
from devices import Module, Panels, grouped_floor, milliseconds


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


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
            limit=2 * least + 2 if share > 0.5 else None, words="2 floors + 2 ms")
    for share in (0.5, 0.99):
        bench.add(
            f"event to ACK to the panel, p{share * 100:.0f}", milliseconds(percentile(answered, share)), "ms",
            milliseconds(percentile(appends, share)))
    bench.note(f"latency: {count} calls, one at a time")


# ---- How many --------------------------------------------------------------------------------------------------------


def bursts(bench):
    """10,000 events from panels while the centre is away, on a site of common size; then they drain."""
    receiver, panels, module = rig.Receiver(), Panels(8), Module(64)
    each = 125 if bench.quick else 1250
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    gateway.start()
    floor = rig.Floor(bench.disk.directory, receiver.port)
    receiver.wait(1)
    panels.calls(1)
    receiver.wait(9)
    gateway.wait_until_drained()
    bench.memory(gateway, "after start")
    receiver.ask("close")
    burst(bench, gateway, floor, f"{8 * each:,} events in, from 8 panels", 8 * each, 8, lambda: panels.calls(each))
    bench.memory(gateway, f"{8 * each:,} events waiting")
    drain(bench, gateway, receiver, panels, 8 * each)
    bench.memory(gateway, "after the drain")


def commits(bench):
    """The same from a module all of whose 1,000 inputs change at once; drained to our own receiver, which stores."""
    receiver, panels, inputs, times = rig.Receiver(), Panels(1), 1000, 1 if bench.quick else 10
    module = Module(inputs)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    gateway.start()
    floor = rig.Floor(bench.disk.directory, receiver.port)
    receiver.wait(1)
    panels.calls(1)
    module.toggle(2)  # every point has been at rest once
    receiver.wait(2 + 2 * inputs)
    gateway.wait_until_drained()
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
    gateway.wait_until_drained()
    with gateway.frozen():
        least += floor.numbers(f"trips {trips}")
    drained = (count - 1) * 1e9 / (last - first)
    floor_rate = len(least) * 1e9 / sum(least)
    bench.add(
        "drained over one path", drained, "events/s", floor_rate, at_least=0.6 * floor_rate, words="60 % of floor")
    floor.kill()


def drain_to_store(bench, gateway, port, panels, count):
    """The same to a receiver that has every event on disk before its ACK; its own feed tells when."""
    trips = max(100, count // 10)
    centre = subprocess.Popen(
        [bench.program, "receive", "--listen", f"127.0.0.1:{port}", "--store",
         os.path.join(bench.disk.directory, "centre.jsonl")],
        env={**os.environ, "LD_PRELOAD": os.path.join(rig.place, "preload")}, stdin=subprocess.DEVNULL,
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


# ---- Starting ----------------------------------------------------------------------------------------------


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
    receiver, inputs = rig.Receiver(), 64
    module, panels = Module(inputs), Panels(1)
    gateway = rig.Gateway(bench.program, bench.disk, receiver.port, panels.devices + module.devices)
    rig.Floor(bench.disk.directory, receiver.port).ask("append 1 4120")
    gateway.start()
    receiver.wait(1)
    module.toggle(2)
    receiver.wait(1 + 2 * inputs)
    gateway.wait_until_drained()
    receiver.ask("close")
    module.toggle(math.ceil(5000 / inputs))
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
    calls_while_draining(bench, gateway, receiver, panels)
    bench.note(f"kill -9: {min(waiting):,} to {max(waiting):,} events waited at each start")


def calls_while_draining(bench, gateway, receiver, panels):
    """A backlog that drains must not keep a panel waiting. The floor: as many synced appends."""
    floor = rig.Floor(bench.disk.directory, receiver.port)
    receiver.ask("open")
    receiver.ask("reset")
    gateway.start()
    receiver.wait(1)
    answered = []
    while receiver.numbers("wait 0 0")[0] < 5000 and len(answered) < 1000:
        began, acknowledged = panels.peer.numbers(f"call MEANWHILE {len(answered)}")
        answered.append(acknowledged - began)
        time.sleep(0.005)
    with gateway.frozen():
        least = floor.numbers(f"append {len(answered)} 4120")
    bench.add(
        "a call while 5,000 drain, to its ACK, longest", milliseconds(max(answered)), "ms", milliseconds(max(least)))
    bench.note(f"{len(answered)} calls while 5,000 events drained")
