"""Lines to the centre: what is urgent past a backlog, draining over a long line, what encryption costs, how soon a cut
line is told of. Each function adds figures to the report, each beside its floor."""

import contextlib
import json
import os
import signal
import subprocess
import time

import rig
from devices import Module, Panels, milliseconds
from speed import percentile

CENTRE = '[receiver.{0}]\naddress = "127.0.0.1:{1}"\n[path.{0}]\nreceiver = "{0}"\n'


@contextlib.contextmanager
def backlog(bench, receiver, inputs, toggles, port=None, centre=""):
    """A gateway with so many waiting events of so many points, whose centre is away: (gateway, panels, how many)."""
    panels, module = Panels(1), Module(inputs)
    receiver.ask("close")
    gateway = rig.Gateway(bench.program, bench.disk, port or receiver.port, panels.devices + module.devices, centre=centre)
    gateway.start()
    panels.calls(1)
    module.toggle(toggles)
    try:
        yield gateway, panels, gateway.stored("state = 0")
    finally:
        gateway.kill()


def begin(receiver, panels):
    """The centre is there again, and something urgent comes: a path that waits for its next try is tried now."""
    receiver.ask("reset")
    panels.calls(1)
    receiver.wait(1)


# ---- What is urgent --------------------------------------------------------------------------------------------------


def urgent(bench):
    """A fire event behind 10,000 others that drain: from the panel's last byte to the receiver's ACK. The floor is a
    synced append and a trip, as on a quiet site."""
    receiver, inputs, toggles = rig.Receiver(), 1000, 1 if bench.quick else 10
    with backlog(bench, receiver, inputs, toggles) as (gateway, panels, count):
        floor = rig.Floor(bench.disk.directory, receiver.port)
        with gateway.frozen():
            receiver.ask("open")
            pairs = [sum(floor.numbers("pair")) for _ in range(100)]
        begin(receiver, panels)
        called, waits = {}, []
        while receiver.numbers("wait 0 0")[0] < count - 100 and len(called) < 200:
            text = f"URGENT {len(called)}."
            waits.append(gateway.stored("state = 0"))
            called[text], _ = panels.peer.numbers(f"call {text}")
        receiver.wait(count + len(called))
        heard = [(time_, data[data.index("URGENT"):]) for time_, _, data in receiver.heard() if "URGENT" in data]
    delays = [time_ - called[text] for time_, text in heard]
    for share in (0.5, 0.99):
        bench.add(
            f"fire behind {inputs * toggles:,} waiting to ACK, p{share * 100:.0f}", milliseconds(percentile(delays, share)),
            "ms", milliseconds(percentile(pairs, share)), limit=100 if share > 0.5 else None, words="100 ms")
    bench.note(f"fire behind others: {len(called)} calls while {max(waits):,} to {min(waits):,} events waited")


# ---- A long line -----------------------------------------------------------------------------------------------------

ROUND_TRIP = 50  # milliseconds


def long_line(bench):
    """A backlog over a line of 50 ms there and back, with 1, 4 and 16 connections. The floor: as many clients in lockstep
    over the same line at the same time, that do nothing else; so it holds what the line's relay can carry as well."""
    for connections in (1, 4, 16):
        each = 40 if bench.quick else 200
        count, inputs = each * connections, 1000
        receiver = rig.Receiver()
        port = rig.free_port()
        rig.Peer("delay", port, receiver.port, ROUND_TRIP)
        centre = f"connections = {connections}\n"
        with backlog(bench, receiver, inputs, count // inputs + 1, port, centre) as (gateway, panels, _):
            with gateway.frozen():
                receiver.ask("open")
                least = lockstep(bench, port, connections, each // 2)
            begin(receiver, panels)
            first, last = receiver.wait(count)
            with gateway.frozen():
                least = (least + lockstep(bench, port, connections, each // 2)) / 2
        drained = (count - 1) * 1e9 / (last - first)
        bench.add(
            f"drained at {ROUND_TRIP} ms, {connections} connection{'s' * (connections > 1)}", drained, "events/s", least,
            at_least=0.9 * least, words="90 % of floor")
        rig.end_processes()
    bench.note(f"connections ÷ {ROUND_TRIP} ms: {', '.join(f'{c * 1000 // ROUND_TRIP}/s' for c in (1, 4, 16))}")


def lockstep(bench, port, clients, trips):
    """Trips a second of so many clients together."""
    floors = [rig.Floor(bench.disk.directory, port) for _ in range(clients)]
    for floor in floors:
        floor.tell(f"trips {trips}")
    rates = []
    for floor in floors:
        times = [int(word) for word in floor.line().split()]
        rates.append(len(times) * 1e9 / sum(times))
        floor.kill()
    return sum(rates)


# ---- Security --------------------------------------------------------------------------------------------------------

KEYS = {"AES-128": "hex:00112233445566778899AABBCCDDEEFF", "AES-256": "hex:" + "00112233445566778899AABBCCDDEEFF" * 2}
WAYS = ("plain", *KEYS, "TLS", "TLS and AES-128")


def security(bench):
    """What a drained event costs the gateway's processor, to our own receiver; encrypted beside plain. The least of three,
    taken in turns: what others do at the same time only ever adds to it."""
    certificates = os.path.join(rig.place, "certificates")
    os.mkdir(certificates)
    maker = os.path.join(rig.REPOSITORY, "Tests", "Peers", "certificates.sh")
    if subprocess.run([maker, certificates, "127.0.0.1"], capture_output=True, check=False).returncode:
        raise rig.Failure(f"{maker} made no certificates: is openssl there?")
    rounds = [{name: drained_to_receiver(bench, name, certificates) for name in WAYS} for _ in range(1 if bench.quick else 3)]
    least = {name: min(taken[name] for taken in rounds) for name in WAYS}
    for name, each in least.items():
        bench.add(
            f"processor time an event, {name}", each / 1000, "µs",
            None if name == "plain" else least["plain"] / 1000)


def drained_to_receiver(bench, name, certificates):
    """Nanoseconds of the gateway's processor time for each event of a backlog."""
    inputs, toggles = 1000, 1 if bench.quick else 4
    port, module, panels = rig.free_port(), Module(inputs), Panels(1)
    secret, arguments = "", []
    for cipher in filter(name.endswith, KEYS):
        file = os.path.join(rig.place, f"{cipher}.key")
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as key:
            key.write(KEYS[cipher] + "\n")
        secret, arguments = f'key = "{file}"\n', ["--account", f"4711={file}"]
    if name.startswith("TLS"):
        server = os.path.join(certificates, "server")
        secret += f'transport = "tls"\ncertificate = "{server}.pem"\n'
        arguments += ["--tls-certificate", f"{server}.pem", "--tls-key", f"{server}.key"]
    gateway = rig.Gateway(bench.program, bench.disk, port, panels.devices + module.devices, centre=secret)
    gateway.start()
    module.toggle(toggles)
    panels.calls(1)
    count, before = gateway.stored("state = 0"), rig.processor_time(gateway.pid)
    centre = subprocess.Popen(
        [bench.program, "receive", "--listen", f"127.0.0.1:{port}", *arguments],
        env={**os.environ, "LD_PRELOAD": os.path.join(rig.place, "preload")}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rig.running.add(centre)
    time.sleep(0.5)
    panels.calls(1)  # something urgent: a path that waits for its next try is tried now
    gateway.wait_until_drained()
    spent = rig.processor_time(gateway.pid) - before
    rig.end_processes()
    return spent / (count + 1)


# ---- A line that is cut ----------------------------------------------------------------------------------------------

SUPERVISED = {  # site.supervision, and within how many seconds the primary's cut is then to be told over the other path
    "20 s": ('{ primary = "20s", alternate = "25h", alternate-alone = "20s" }', 20),
    "DP4": ('"DP4"', 90),
}


def supervision(bench):
    """The first of two centres falls silent, its connection open, just after it has answered a link test, which is the
    worst moment: until the other has heard of it."""
    for name, (supervised, limit) in SUPERVISED.items():
        first, second = rig.Receiver(), rig.Receiver()
        gateway = rig.Gateway(
            bench.program, bench.disk, None, site=f"supervision = {supervised}\n",
            paths=CENTRE.format("first", first.port) + CENTRE.format("second", second.port))
        gateway.start()
        first.wait(1)
        gateway.wait_until_drained()
        rig.wait("some time has passed since the last answer", lambda: last_answer(gateway) >= 2, 10)
        rig.wait("a link test is answered", lambda: last_answer(gateway) < 2, limit)
        second.ask("reset")
        began = time.monotonic_ns()
        os.kill(first.process.pid, signal.SIGSTOP)
        told, _ = second.wait(1, limit * 2)
        bench.add(
            f"path cut to told on the other, {name}", (told - began) / 1e9, "s", None, limit=limit, words=f"{limit} s")
        rig.end_processes()
    virtual(bench)


def virtual(bench):
    """The same for every class, in virtual time: the real reader of the configuration and the real dispatcher, from the
    simulation's program (which `make bench` builds)."""
    simulate = os.path.join(os.path.dirname(bench.program), "simulate")
    if not os.path.exists(simulate):
        bench.note(f"{simulate} is not there: no figures of the supervision classes in virtual time")
        return
    for line in subprocess.run([simulate, "--cut"], capture_output=True, text=True, check=True).stdout.splitlines():
        name, took, allowed = line.split()
        allowed = int(allowed) // 1000
        bench.add(
            f"cut to told, {name}, virtual time", int(took) / 1000, "s", None, limit=allowed, words=f"{allowed:,} s")


def last_answer(gateway):
    """Seconds since the first path's last answer, as `larmnod status` says."""
    command = [gateway.program, "status", "--json", "--socket", gateway.socket]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return json.loads(answer)["paths"][0]["lastAnswer"]
