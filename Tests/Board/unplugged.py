"""What hangs on a plug: a USB adapter with a panel, and an analogue converter."""

from board import USB_PORT
from receiver_line import Receiver
from rig import CONVERTER, LOOP_ALARM, LOOP_REST, USB, USB_ZONE, Failure


def usb_adapter(rig):
    """An adapter that is pulled out while its panel speaks is a trouble. Plugged in again it is found by its own name,
    under whatever number the kernel gives it; what the panel said is said again, and arrives."""
    rig.expect_trouble(USB, "event", 0)
    rig.board.run("udev")
    panel = Receiver(rig.board.plug_in())
    rig.expect_trouble(USB, "restore", 0)
    said = rig.board.run(f"'{rig.program}' board", check=False)
    if f"serial port {USB_PORT}" not in said:
        raise Failure(f"not listed by the name that lasts: {said}")
    if not panel.link_test() or not panel.contact_id("1234", 130, USB_ZONE):
        raise Failure("an event is not acknowledged")
    rig.expect(USB_ZONE, "BA")
    before = rig.board.run(f"readlink -f {USB_PORT}").strip()
    # So that its number stays taken.
    rig.board.run(f"sleep 300 <{before} & holder=$!")
    since = len(rig.centre.feed)
    panel.line.sendall(b"5011 181234R1300")
    panel.line.close()
    rig.expect_trouble(USB, "event", since)
    rig.expect(USB_ZONE, "BA", seconds=0)
    panel = Receiver(rig.board.plug_in())
    rig.expect_trouble(USB, "restore", since)
    after = rig.board.run(f"readlink -f {USB_PORT}").strip()
    rig.board.run("kill $holder")
    if after == before:
        raise Failure(f"the adapter is {after} again: nothing was tried")
    if not panel.contact_id("1234", 130, USB_ZONE, restore=True):
        raise Failure(f"an event is not acknowledged on {after}, which was {before}")
    rig.expect(USB_ZONE, "BA", "BH")


def converter(rig):
    """Supervised loops on a converter of the kernel's: their states are told. Pulled out it is a trouble, plugged in
    again a restore, and no alarm anew."""
    rig.expect(LOOP_ALARM, "BA")
    since = len(rig.centre.feed)
    rig.board.run("converter out")
    rig.expect_trouble(CONVERTER, "event", since)
    rig.board.run("converter in")
    rig.expect_trouble(CONVERTER, "restore", since)
    rig.expect(LOOP_ALARM, "BA", seconds=0)
    rig.expect(LOOP_REST, seconds=0)


CASES = [usb_adapter, converter]
