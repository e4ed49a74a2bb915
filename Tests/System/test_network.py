"""The network as it is: cut, mute, lost, moved, half-open; each on real hosts and interfaces (promises 3, 4, 5 and 10)."""

import time

import rig
from network import Country
from rig import each, eventually, expect, require, waits

QUICK = {"poll": "1s", "timeout": "2s", "attempts": 2}


def path(gateway, name):
    return next(p for p in gateway.status()["paths"] if p["name"] == name)


def is_trouble(event, name):
    return event["sia"] == "YS" and f"path {name}:" in (event["text"] or "")


def is_end(event, name):
    return event["sia"] == "YK" and f"path {name}:" in (event["text"] or "")


def came(receivers, words):
    """The calls that came, and where to; a repeat at the other receiver only under its own number."""
    numbers = {}
    for receiver in receivers:
        texts = [e["text"] for e in receiver.feed() if (e["text"] or "").startswith(words)]
        require(f"{receiver.name} has none twice", len(texts) == len(set(texts)), texts)
        for event in receiver.feed():
            if (event["text"] or "").startswith(words):
                require("a repeat has its own number", numbers.setdefault(event["text"], event["sequence"]) == event["sequence"], event)
    return set(numbers)


# What can happen to the way over the first interface: what is done, and what mends it.


def near_end(country, first):
    """the interface is down"""
    country.box.ip("link", "set", "eth-fibre", "down")
    # Without the binding the path would go round over the other interface: it could.
    require("the first centre can be reached round about", country.box.reaches(country.to_first.address(), 7700))
    return lambda: (country.box.ip("link", "set", "eth-fibre", "up"), country.fibre.route())


def far_end(country, first):
    """the cable is pulled at its other end"""
    country.internet.ip("link", "set", country.fibre.far, "down")
    return lambda: country.internet.ip("link", "set", country.fibre.far, "up")


def black_hole(country, first):
    """packets are dropped on their way, without a word"""
    country.to_first.swallow()
    return country.to_first.pass_again


def unreachable(country, first):
    """a router on the way has lost the route, and says so"""
    country.to_first.swallow("unreachable")
    return country.to_first.pass_again


def route_lost(country, first):
    """the box has no route over the interface any more"""
    country.box.ip("route", "del", "default", "dev", "eth-fibre")
    return country.fibre.route


def gone(country, first):
    """the interface vanishes; one of the same name comes"""
    country.box.ip("link", "del", "eth-fibre")
    return country.fibre.plug_in


def address_changed(country, first):
    """the interface has another address, and the kept connection none"""
    country.box.ip("addr", "del", f"{country.fibre.address()}/24", "dev", "eth-fibre")
    country.box.ip("addr", "add", f"{country.fibre.address(7)}/24", "dev", "eth-fibre")
    return country.fibre.route


def host_vanishes(country, first):
    """the receiver's host vanishes without a word (half-open), then another without a receiver has its address"""
    country.to_first.swallow()
    first.kill()  # what it says now is lost
    time.sleep(3)
    country.to_first.pass_again()
    require("nobody listens", not country.box.reaches(country.to_first.address(), 7700))
    return first.start


def hangs(country, first):
    """the receiver's program hangs: its host takes connections and bytes, and nobody answers"""
    first.process.popen.send_signal(rig.signal.SIGSTOP)
    return lambda: first.process.popen.send_signal(rig.signal.SIGCONT)


WAYS = {f.__name__.replace("_", "-"): f for f in (
    near_end, far_end, black_hole, unreachable, route_lost, gone, address_changed, host_vanishes, hangs)}


# A datagram socket notices nothing by itself: it stays bound to an interface or an address that is no more.
@each(*WAYS, "udp-black-hole", "udp-gone", "udp-address-changed", "udp-host-vanishes")
@waits
def test_cut(case, way):
    """the way is cut: found by the poll and told over the other path, which delivers; mended: told, and used again"""
    transport, way = ("udp", way.removeprefix("udp-")) if way.startswith("udp-") else ("tcp", way)
    country = Country(case)
    first, second = country.receivers()
    panel = rig.Panel(case)
    gateway = country.gateway(*country.paths(first, second, transport=transport, **QUICK), panel.table()).start()
    panel.must("call before")
    eventually("it is delivered", lambda: came([first, second], "call"))
    gateway.until_delivered()
    eventually("both paths work", lambda: {p["state"] for p in gateway.status()["paths"]}, lambda s: s == {"works"})

    cut_at = len(second.feed())
    mend = WAYS[way](country, first)
    # No call yet: the link test finds it, also where the connection is half open.
    trouble = second.until("the path's trouble", lambda e: is_trouble(e, "fibre"), after=cut_at)
    for words in ("found ", "last good ", " waiting"):  # EN 50136-1's record of a fault
        require(f"the trouble tells: {words}", words in trouble["text"], trouble["text"])
    require("told over the other interface", trouble["path"]["remote"].startswith(country.mobile.address()), trouble)
    for number in range(3):
        panel.must(f"call during {number}")
        second.until_text(f"call during {number}")
    gateway.until_delivered()
    # A way that says nothing may have answered once more by chance of the machine's speed; it does not stay so.
    eventually("the first path is down", lambda: gateway.path_state("fibre"), lambda state: state == "down")
    require("status tells why", path(gateway, "fibre")["why"])
    time.sleep(4)  # nothing is sent but link tests
    eventually("the other path is still tested", lambda: path(gateway, "mobile")["lastAnswer"], lambda s: s <= 2)

    mend()
    eventually("the first path works again", lambda: gateway.path_state("fibre"), lambda state: state == "works")
    ends = eventually(
        "the end of the trouble", lambda: [e for r in (first, second) for e in r.feed() if is_end(e, "fibre")])
    require("it tells how long it was", "was down " in ends[0]["text"], ends[0]["text"])
    count = 0

    def again():
        nonlocal count
        panel.must(f"call after {count}")
        count += 1
        gateway.until_delivered()
        return [e for e in first.feed() if (e["text"] or "").startswith("call after")]

    after = eventually("the first path carries events again", again)
    source = country.fibre.address() if way != "address-changed" else "10.20.1."
    require("over its own interface", after[0]["path"]["remote"].startswith(source), after[0])
    expect("all that came", came([first, second], "call"),
           {"call before", *(f"call during {n}" for n in range(3)), *(f"call after {n}" for n in range(count))})  # fmt: skip


@waits
def test_interface_comes(case):
    """a modem that is not there at the start: told in words, the other path carries; it comes, and is used"""
    country = Country(case)
    first, second = country.receivers()
    country.box.ip("link", "del", "eth-fibre")
    panel = rig.Panel(case)
    gateway = country.gateway(*country.paths(first, second, **QUICK), panel.table()).start()
    panel.must("call before")
    second.until_text("call before")
    second.until("the path's trouble", lambda e: is_trouble(e, "fibre") and "eth-fibre" in e["text"])
    country.fibre.plug_in()
    eventually("the first path works", lambda: gateway.path_state("fibre"), lambda state: state == "works")
    eventually("its trouble's end", lambda: [e for r in (first, second) for e in r.feed() if is_end(e, "fibre")])
    panel.must("call after")
    first.until_text("call after")


@waits
def test_restarted_between_polls(case):
    """the receiver's host starts anew between two link tests: the kept connection is dead, the next event arrives all the same"""
    country = Country(case)
    first, second = country.receivers()
    panel = rig.Panel(case)
    gateway = country.gateway(*country.paths(first, second, poll="10min", timeout="10s"), panel.table()).start()
    panel.must("call before")
    first.until_text("call before")
    gateway.until_delivered()
    country.to_first.swallow()
    first.kill()  # the box hears nothing of it
    first.start()
    country.to_first.pass_again()
    panel.must("call after")
    first.until_text("call after")
    gateway.until_delivered()
    expect("troubles", [e["text"] for e in gateway.events() if e["point"].startswith("path.") and e["sia"] == "YS"], [])


@waits
def test_both_cut(case):
    """both ways are cut: status and disk tell, also after a kill; mended: all of it arrives, fire first, in order, once"""
    country = Country(case)
    first, second = country.receivers()
    fire, door = rig.Panel(case, "fire"), rig.Panel(case, "door")
    gateway = country.gateway(
        *country.paths(first, second, **QUICK), fire.table("fire"), door.table("door", kind="door-held", zone=12)).start()
    gateway.until_delivered()
    mends = [far_end(country, first), country.to_second.pass_again]
    country.to_second.swallow()
    eventually("both are down", lambda: [p["state"] for p in gateway.status()["paths"]], lambda s: s == ["down", "down"])
    for number in range(20):
        door.must(f"call door {number:02}")
        if number % 5 == 0:
            fire.must(f"call fire {number:02}")
    result = gateway.ask("status")
    expect("the exit status of larmnod status", result.returncode, 2)
    require("it tells people", "fibre" in result.stdout and "mobile" in result.stdout and "FAULT" in result.stdout, result.stdout)
    require("what waits is on disk", gateway.status()["waiting"] >= 24, gateway.status())
    told = [e for e in gateway.events("--unsent") if e["sia"] == "YS" and e["point"].startswith("path.")]
    expect("troubles that wait, one for each path", sorted(e["point"] for e in told), ["path.fibre", "path.mobile"])
    gateway.kill()
    gateway.start()
    door.must("call door 20")
    fire.must("call fire 20")
    mends[case.random.randrange(2)]()
    gateway.until_delivered()
    texts = [t for r in (first, second) for t in r.texts() if t.startswith("call")]
    wanted = [f"call fire {n:02}" for n in (0, 5, 10, 15, 20)] + [f"call door {n:02}" for n in range(21)]
    expect("the order", texts, wanted)


@waits
def test_dead_delays_nobody(case):
    """a path that says nothing, with half a minute's patience, holds nothing up: all go at once over the other"""
    country = Country(case)
    first, second = country.receivers()
    panel = rig.Panel(case)
    gateway = country.gateway(
        *country.paths(first, second, timeout="30s", attempts=20, poll="5s"), panel.table()).start()
    gateway.until_delivered()
    country.to_first.swallow()
    for number in range(20):
        panel.must(f"call {number:02}")
    # One after the other on the dead path, they would need ten minutes.
    second.until_text("call 19")
    texts = [t for t in second.texts() if t.startswith("call")]
    expect("what came, in order", texts, [f"call {n:02}" for n in range(20)])


@each("only-ipv6", "ipv6-dead", "ipv4-dead")
@waits
def test_families(case, which):
    """a centre with IPv6 only; a name with addresses of both kinds, of which one is dead: the other carries"""
    country = Country(case)
    old, new = country.to_first.address(), country.to_first.address6()
    place = {"only-ipv6": f"[{new}]:7700", "ipv6-dead": f"{old}:7700", "ipv4-dead": f"[{new}]:7700"}[which]
    centre = country.receiver("first", country.first, place)
    address = place if which == "only-ipv6" else "larm.example:7700"
    country.box.own_file("/etc/hosts", f"127.0.0.1 localhost\n{new} larm.example\n{old} larm.example\n")
    if which == "ipv6-dead":
        country.internet.ip("-6", "route", "add", "blackhole", f"{new}/128")
    elif which == "ipv4-dead":
        country.internet.ip("route", "add", "blackhole", f"{old}/32")
    panel = rig.Panel(case)
    gateway = country.gateway(rig.path("fibre", address, interface="eth-fibre", **QUICK), panel.table()).start()
    panel.must("call 0")
    event = centre.until_text("call 0")
    family = country.fibre.address() if which == "ipv6-dead" else f"[{country.fibre.address6()}]"
    require("over the family that works", event["path"]["remote"].startswith(family), event["path"])
    gateway.until_delivered()
    # It stays where it works, and finds the way again when the receiver has been away.
    centre.kill()
    eventually("the path is down", lambda: gateway.path_state("fibre"), lambda state: state == "down")
    centre.start()
    panel.must("call 1")
    centre.until_text("call 1")


@waits
def test_name_moves(case):
    """the receiver's name leads to another address: asked for again when the old one fails; no name server: the old one serves"""
    country = Country(case)
    first, second = country.receivers()
    server, names = country.name_server(f"larm.example {country.to_first.address()}\n")
    panel = rig.Panel(case)
    gateway = country.gateway(rig.path("fibre", "larm.example:7700", interface="eth-fibre", **QUICK), panel.table()).start()
    panel.must("call 0")
    first.until_text("call 0")
    names.write_text(f"larm.example {country.to_second.address()}\n")
    country.to_first.swallow()
    panel.must("call 1")
    second.until_text("call 1")
    gateway.until_delivered()
    server.kill()  # the connection that is there needs no name
    panel.must("call 2")
    second.until_text("call 2")
    gateway.until_delivered()
    # No name server, no connection: what it was last leads there.
    second.kill()
    panel.must("call 3")
    second.start()
    second.until_text("call 3")


@waits
def test_started_without_name_server(case):
    """a start while no name server answers: the receiver is found where it was last, after kills too"""
    country = Country(case)
    first, _ = country.receivers()
    server, _ = country.name_server(f"larm.example {country.to_first.address()}\n")
    panel = rig.Panel(case)
    gateway = country.gateway(rig.path("fibre", "larm.example:7700", interface="eth-fibre", **QUICK), panel.table()).start()
    panel.must("call 0")
    first.until_text("call 0")
    gateway.until_delivered()
    time.sleep(1)  # what is worth keeping is kept within the second
    server.kill()
    for number in (1, 2):
        gateway.kill()
        gateway.start()
        panel.must(f"call {number}")
        first.until_text(f"call {number}")
        gateway.until_delivered()
