"""Bad lines: all that was acknowledged to a panel arrives, in order, fire first, and is told once (promises 2, 3 and 4)."""

import rig
from lossy import Line
from rig import each, eventually, expect, limit, require

TCP = {"reset": 0.04, "stall": 0.04, "split": 0.2, "repeat-request": 0.2, "repeat-reply": 0.2, "reorder": 0.05}
UDP = {"loss": 0.2, "repeat": 0.2}
# Each line's transport, and how many calls of each of three panels: what 300 ms and a lost datagram cost bounds them.
LINES = {"tcp": (["tcp"], 30), "udp": (["udp"], 18), "both": (["udp", "tcp"], 30)}


@each(*LINES)
@limit(600)
def test_all_arrives(case, which):
    """300 ms, 20 % loss, resets, stalls, repeats, reordering: all calls arrive once, in order, fire first"""
    transports, count = LINES[which]
    centre = rig.Receiver(case)
    lines = [Line(case, centre.address, t, **(TCP if t == "tcp" else UDP)) for t in transports]
    fire, door, window = (rig.Panel(case, name, "--poll", "0") for name in ("fire", "door", "window"))
    gateway = rig.Gateway(
        case, *(rig.path(line.transport, line.address, transport=line.transport, timeout="6s", attempts=4, poll="2s")
                for line in lines),
        fire.table("fire"), door.table("door", kind="door-held", zone=12),
        window.table("window", kind="burglary", zone=13)).start()  # fmt: skip
    gateway.until_delivered()

    # A third of it while the line is as it is, the rest while it is cut; then it is mended, and the program killed once.
    said = {"fire": [], "door": [], "window": []}

    def call(panel, name):
        text = f"{name} {len(said[name]):03}"
        panel.must(text)
        said[name].append(text)

    for number in range(count // 3):
        for panel, name in ((door, "door"), (window, "window"), (fire, "fire")):
            call(panel, name)
    eventually("some of it arrives", lambda: set(centre.texts()) & set(said["fire"]))
    for line in lines:
        line.is_cut = True
    while len(said["door"]) < count:
        call(door, "door")
        call(window, "window")
    mended = len(centre.feed())
    for _ in range(count // 3):
        call(fire, "fire")
    for line in lines:
        line.is_cut = False
    eventually("it goes on", lambda: len(centre.feed()), lambda length: length > mended + 5)
    gateway.kill()
    gateway.start()
    gateway.until_delivered(within=400)

    came = centre.texts()
    for name, texts in said.items():
        expect(f"what came from the {name} panel, in order and once", [t for t in came if t.startswith(name)], texts)
    backlog = [t for t in came[mended:] if t.split()[0] in said]
    fires = [t for t in backlog if t.startswith("fire")]
    # What was on its way when the line was cut may come first.
    early = [t for t in backlog[:backlog.index(fires[-1])] if not t.startswith("fire")]
    require("fire first", len(early) <= len(lines), backlog[:len(fires) + 10])
    for line in lines:
        for what in line.rates:
            require(f"{line.transport}: the line was bad: {what}", line.done[what], line.done)
