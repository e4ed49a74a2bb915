"""Disks that are full, read-only or damaged (promises 1, 2 and 5)."""

import os
import time

import rig
from rig import each, eventually, expect, require


def mounted(case, kind):
    """A small file system for the state directory: (directory, its device for remounting)."""
    directory = case.directory / "disk"
    directory.mkdir()
    if kind == "tmpfs":
        root(case, "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", directory)
    else:
        image = case.directory / "disk.img"
        with open(image, "wb") as file:
            file.truncate(32 << 20)
        root(case, "mkfs.ext4", "-q", "-E", "nodiscard", image)
        root(case, "mount", "-o", "loop", image, directory)
    root(case, "chown", f"{os.getuid()}:{os.getgid()}", directory)
    return directory


def root(case, *command):
    result = case.run([*rig.as_root(), *command])
    if result.returncode != 0:
        raise rig.Failed(f"{' '.join(map(str, command))} (needs root, or sudo without a password): {result.stdout}")


def fill(directory):
    """Takes all the room there is."""
    with open(directory / "filler", "ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


def site(case, centre, panel, state, **settings):
    return rig.Gateway(
        case, rig.path("a", centre.address, timeout="1s", attempts=2), panel.table(), state=state, **settings)


def acknowledged_texts(panel, name, count):
    """Calls a few, until one is refused; the texts that heard ACK, and what the refused one heard."""
    texts = []
    for number in range(count):
        outcome = panel.call(f"{name} {number:04}")[0]
        if outcome != "ACK":
            return texts, {outcome}
        texts.append(f"{name} {number:04}")
    return texts, set()


# Where nothing can be stored, the panel waits for the receiver's ACK: busy when that does not come, or no answer in time.
REFUSALS = ({"NAK2"}, {"SILENT"})


def filled(panel, directory):
    """Calls while the disk is filled again and again, until a call is refused; what heard ACK."""
    stored = []
    for rounds in range(300):
        fill(directory)
        acked, refusals = acknowledged_texts(panel, f"full {rounds}", 40)
        stored += acked
        if refusals:
            require("the panel's answer when nothing can be stored", refusals in REFUSALS, refusals)
            return stored
    raise rig.Failed(f"{len(stored)} calls are acknowledged on a full disk with the receiver away")


@each("tmpfs", "ext4")
def test_full(case, kind):
    """a full disk: no ACK for what is not stored, nothing stored is lost, storing resumes, the trouble is told"""
    directory = mounted(case, kind)
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0")
    gateway = site(case, centre, panel, directory / "state").start()
    stored, _ = acknowledged_texts(panel, "before", 10)
    gateway.until_delivered()
    centre.kill()  # what comes now must wait on the full disk

    stored += filled(panel, directory)
    eventually("the store's trouble is shown", lambda: gateway.status().get("storeTrouble"))
    require("status tells it to people", "disk" in gateway.ask("status").stdout, gateway.ask("status").stdout)

    # Cut off while the disk is full, and started on the full disk.
    gateway.kill()
    gateway.launch()
    time.sleep(3)
    gateway.kill()
    (directory / "filler").unlink()
    gateway.start()
    acked, refusals = acknowledged_texts(panel, "after", 10)
    expect("calls refused after room was made", refusals, set())
    centre.start()
    gateway.until_delivered()
    expect("calls that heard ACK and did not come", sorted(set(stored + acked) - set(centre.texts())), [])


def test_full_and_room_again(case):
    """a full disk and a receiver that works: alarms go on through it; with room again, storing goes on; both are told"""
    directory = mounted(case, "tmpfs")
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    gateway = site(case, centre, panel, directory / "state").start()
    gateway.until_delivered()
    stored, rounds = [], 0
    while not gateway.status().get("storeTrouble"):
        fill(directory)
        rounds += 1
        require("the full disk is noticed", rounds < 300, stored)
        acked, refusals = acknowledged_texts(panel, f"full {rounds}", 40)
        expect("refusals, though the receiver acknowledges", refusals, set())
        stored += acked
    centre.until("the trouble", lambda e: e["sia"] == "YX" and "full" in e["text"])
    panel.must("through memory")
    require("what was acknowledged through memory is at the centre at once", "through memory" in centre.texts())
    (directory / "filler").unlink()
    eventually("the store's trouble ends", lambda: gateway.status().get("storeTrouble"), lambda trouble: trouble is None)
    centre.until("its end", lambda e: e["sia"] == "YZ" and "stored again" in e["text"])
    centre.kill()
    panel.must("on disk again")
    gateway.kill()
    gateway.start()
    centre.start()
    gateway.until_delivered()
    wanted = {*stored, "through memory", "on disk again"}
    expect("calls that heard ACK and did not come", sorted(wanted - set(centre.texts())), [])


def test_read_only_while_running(case):
    """the file system fails and turns read-only: no ACK without the receiver's, what is stored is delivered, it is told"""
    directory = mounted(case, "ext4")
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    gateway = site(case, centre, panel, directory / "state").start()
    gateway.until_delivered()
    centre.kill()
    stored, refusals = acknowledged_texts(panel, "before", 20)
    expect("refusals", refusals, set())
    root(case, "mount", "-o", "remount,abort", directory)
    acked, refusals = acknowledged_texts(panel, "read-only", 3)
    expect("calls acknowledged though nothing can be written and nobody has them", acked, [])
    require("the panel's answer", refusals in REFUSALS, refusals)
    eventually("the store's trouble is shown", lambda: gateway.status().get("storeTrouble"))
    require("status tells it to people", "disk" in gateway.ask("status").stdout, gateway.ask("status").stdout)
    centre.start()
    eventually("what is stored is delivered", lambda: set(stored) - set(centre.texts()), lambda left: not left)
    centre.until("the trouble", lambda e: e["sia"] == "YX")
    panel.must("through memory")
    require("what was acknowledged is at the centre at once", "through memory" in centre.texts(), centre.texts()[-5:])


def test_read_only_at_start(case):
    """a read-only state directory at the start: what lies there is delivered, alarms go on, it is told, and mended"""
    directory = mounted(case, "tmpfs")
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    gateway = site(case, centre, panel, directory / "state").start()
    gateway.until_delivered()
    centre.kill()
    stored, _ = acknowledged_texts(panel, "before", 5)
    gateway.kill()
    root(case, "mount", "-o", "remount,ro", directory)
    gateway.start()
    require("status tells it", gateway.status().get("storeTrouble"), gateway.status())
    acked, _ = acknowledged_texts(panel, "nobody has it", 1)
    expect("calls acknowledged though nobody has them", acked, [])
    centre.start()
    eventually("what lies there is delivered", lambda: set(stored) - set(centre.texts()), lambda left: not left)
    panel.must("through memory")
    require("what was acknowledged is at the centre at once", "through memory" in centre.texts(), centre.texts()[-5:])
    second = case.run([case.program, "run", "--config", gateway.file])
    require("a second process is refused all the same", second.returncode == 1 and "in use" in second.stdout, second.stdout)
    gateway.kill()
    root(case, "mount", "-o", "remount,rw", directory)
    gateway.start()
    panel.must("on disk again")
    gateway.until_delivered()
    expect("the store's trouble", gateway.status().get("storeTrouble"), None)
    expect("calls that did not come", sorted({*stored, "on disk again"} - set(centre.texts())), [])


@each("write", "sync", "read", "every")
def test_medium_error(case, what):
    """the medium fails (EIO): no ACK without the receiver's, alarms go on through it, it is told; well again: stored again"""
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    other = rig.Panel(case, "other", "--poll", "0", "--answer", "20")
    fails = case.directory / "fails"
    fails.write_text("...")
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, timeout="1s", attempts=2), panel.table(), other.table("other", zone=12),
        environment={
            "LD_PRELOAD": rig.stand_in(case, "disk"), "LARMNOD_BAD_DISK": case.path("state"),
            "LARMNOD_BAD_DISK_FAILS": str(fails)}).start()  # fmt: skip
    gateway.until_delivered()
    centre.kill()
    stored, refusals = acknowledged_texts(panel, "before", 20)
    expect("refusals", refusals, set())
    overwrite(fails, 0, {"write": b"w..", "sync": b".s.", "read": b"..r", "every": b"wsr"}[what])
    acked, refusals = acknowledged_texts(panel, "failing", 3)
    if what == "read":
        stored += acked  # that it cannot be read back does not show yet
    else:
        expect("calls acknowledged though they are on no disk and nobody has them", acked, [])
        require("the panel's answer", refusals in REFUSALS, refusals)
        eventually("the store's trouble is shown", lambda: gateway.status().get("storeTrouble"))
        require("status tells it to people", "disk" in gateway.ask("status").stdout, gateway.ask("status").stdout)
    centre.start()
    other.must("with the receiver")
    if what != "read":  # nothing goes to the disk: what waits there and cannot be read holds up nobody
        centre.until_text("with the receiver")
    if what != "read":
        centre.until("the trouble", lambda e: e["sia"] == "YX")
    overwrite(fails, 0, b"...")
    eventually("the store's trouble ends", lambda: gateway.status().get("storeTrouble"), lambda trouble: trouble is None)
    eventually("what was stored before is delivered", lambda: set(stored) - set(centre.texts()), lambda left: not left)
    centre.kill()
    panel.must("on disk again")
    gateway.kill()
    gateway.start()
    centre.start()
    gateway.until_delivered()
    wanted = {*stored, "with the receiver", "on disk again"}
    expect("calls that heard ACK and did not come", sorted(wanted - set(centre.texts())), [])
    came = [t for t in centre.texts() if t in stored]
    expect("what was stored before, in order and once", came, stored)


def test_block_device_fails(case):
    """the block device below the file system fails (EIO on ext4): alarms go on through the receiver, and it is told"""
    memory = mounted(case, "tmpfs")
    image, directory = memory / "image", case.directory / "ext4"
    directory.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    # A sparse image on a file system without room: what is written to it beyond that is a medium error to ext4.
    root(case, "mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-J", "size=4", image)
    root(case, "mount", "-o", "loop", image, directory)
    root(case, "chown", f"{os.getuid()}:{os.getgid()}", directory)
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    gateway = site(case, centre, panel, directory / "state").start()
    gateway.until_delivered()
    centre.kill()
    stored, refusals = acknowledged_texts(panel, "before", 20)
    expect("refusals", refusals, set())
    fill(memory)
    sure = list(stored)
    for rounds in range(60):
        acked, refusals = acknowledged_texts(panel, f"failing {rounds}", 40)
        stored += acked
        if refusals:
            break
        fill(memory)
    require("the failing device is noticed, and the panel told", refusals in REFUSALS, refusals or f"{len(stored)} stored")
    eventually("the store's trouble is shown", lambda: gateway.status().get("storeTrouble"))
    centre.start()
    eventually("what is stored is delivered", lambda: set(sure) - set(centre.texts()), lambda left: not left)
    centre.until("the trouble", lambda e: e["sia"] == "YX")
    panel.must("through memory")
    require("what was acknowledged is at the centre at once", "through memory" in centre.texts(), centre.texts()[-5:])
    eventually("all that heard ACK is delivered", lambda: set(stored) - set(centre.texts()), lambda left: not left)


def overwrite(file, offset, data):
    with open(file, "r+b") as target:
        target.seek(offset)
        target.write(data)


def damage_told(event):
    return event["sia"] == "YF"


DAMAGES = {  # what is done to the file, and how many of 300 events must survive
    "header": (lambda file, size, case: overwrite(file, 0, case.random.randbytes(100)), 0),
    "middle": (lambda file, size, case: overwrite(file, size // 2 & ~4095, case.random.randbytes(8192)), 150),
    "scattered": (lambda file, size, case: [
        overwrite(file, case.random.randrange(8192, size - 64), case.random.randbytes(64)) for _ in range(3)], 50),
    "truncated": (lambda file, size, case: os.truncate(file, size // 2 & ~4095), 50),
    "zeros": (lambda file, size, case: overwrite(file, 0, bytes(size)), 0),
    "empty": (lambda file, size, case: os.truncate(file, 0), 0),
}  # fmt: skip


@each(*DAMAGES)
def test_damaged(case, damage):
    """a damaged store is set aside: what can be read is kept and sent, new events flow, the damage is told"""
    spoil, least = DAMAGES[damage]
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0")
    gateway = site(case, centre, panel, None).start()
    gateway.until_delivered()
    centre.kill()
    stored, _ = acknowledged_texts(panel, "before", 300)
    gateway.stop()
    expect("calls that heard ACK", len(stored), 300)
    for file in gateway.state.glob("outbox.db-*"):
        file.unlink()  # all of it is in the file itself, after a clean stop
    file = gateway.state / "outbox.db"
    spoil(file, file.stat().st_size, case)
    gateway.start()
    panel.must("new")
    centre.start()
    told = centre.until("the damage", damage_told)
    require("it says so in words", "damaged" in (told["text"] or ""), told["text"])
    centre.until_text("new")
    gateway.until_delivered()
    kept = set(stored) & set(centre.texts())
    require(f"at least {least} of 300 events survive", len(kept) >= least, f"{len(kept)}; {told['text']}")
    aside = [f.name for f in gateway.state.glob("outbox.db.damaged-*")]
    require("the damaged file is kept beside", aside, sorted(os.listdir(gateway.state)))
    before = len(list(filter(damage_told, centre.feed())))
    gateway.stop()
    gateway.start()
    panel.must("newer")
    centre.until_text("newer")
    expect("the damage told again after a restart", len(list(filter(damage_told, centre.feed()))) - before, 0)
    print(f"{len(kept)} of 300 kept")


def used(log):
    """How much of a write-ahead log is in use: SQLite keeps a file that has grown (sqlite.org/fileformat2.html, 4.1)."""
    data = log.read_bytes()
    frame, end = 24 + int.from_bytes(data[8:12], "big"), 32
    while data[end + 8:end + 16] == data[16:24]:
        end += frame
    return end


@each("middle", "header", "beginning", "end", "truncated")
def test_damaged_log(case, damage):
    """a damaged write-ahead log: what is readable is sent in order, new events flow, the loss is told where it shows"""
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0")
    gateway = site(case, centre, panel, None).start()
    gateway.until_delivered()
    centre.kill()
    stored, _ = acknowledged_texts(panel, "before", 100)
    gateway.kill()
    log = gateway.state / "outbox.db-wal"
    size = used(log)
    require("the events are in the write-ahead log", size > 50_000, size)
    if damage == "truncated":
        os.truncate(log, size // 2)
    else:
        offset = {"middle": size // 2, "header": 0, "beginning": 0, "end": size - 300}[damage]
        overwrite(log, offset, case.random.randbytes(32 if damage == "header" else 64))
    gateway.start()
    panel.must("new")
    centre.start()
    centre.until_text("new")
    gateway.until_delivered()
    texts = [t for t in centre.texts() if t and t.startswith("before")]
    expect("the order of what is left", texts, sorted(texts))
    if damage not in ("header", "beginning"):
        require("the undamaged half is there", len(set(texts)) >= 40, len(set(texts)))
    if damage in ("header", "beginning", "middle"):  # a log that ends early is what a power cut leaves: nothing shows
        eventually(f"the damage is told, {len(set(texts))} of 100 are kept", lambda: list(filter(damage_told, centre.feed())))
    print(f"{len(set(texts))} of {len(stored)} kept")


def test_damaged_while_running(case):
    """the store is damaged under the running program: it goes on; what cannot be read any more is told"""
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0")
    gateway = site(case, centre, panel, None).start()
    gateway.until_delivered()
    acknowledged_texts(panel, "before", 600)  # enough that the log is copied into the file
    gateway.until_delivered()
    centre.kill()
    waiting, _ = acknowledged_texts(panel, "waiting", 50)
    for name in ("outbox.db", "outbox.db-wal"):
        file = gateway.state / name
        overwrite(file, 0, case.random.randbytes(file.stat().st_size))
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        return panel.call(f"new {calls}")[0]

    eventually("the panel is acknowledged again", call, lambda outcome: outcome == "ACK")
    text = f"new {calls}"
    centre.start()
    centre.until_text(text)
    gateway.until_delivered()
    if set(waiting) - set(centre.texts()):
        eventually("the loss is told", lambda: [
            e for e in centre.feed() if damage_told(e) or "cannot be read" in (e["text"] or "")])  # fmt: skip
    require("it still runs", gateway.process.is_running(), gateway.process.text()[-2000:])
