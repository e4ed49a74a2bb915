"""The virtual board: a kernel of our own under QEMU, with GPIO lines, a UART, a network and a disk.

The board's root is this machine's, read-only, so what is built here runs there with the libraries it was built with.
scripts/board/init.sh is its only process of its own, and does what `run` tells it.
"""

import os
import socket
import subprocess
import time

_INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/board/init.sh")
HOST = "10.0.2.2"  # This machine's loopback, seen from the board.
# UARTs on PCI cards, which can be pulled out: their slots. Each is /run/uart/SLOT on the board. No device uses the last.
SLOTS = ("10", "11", "12", "13")
SPARE = "13"
# The name that udev gives the USB adapter's port.
USB_PORT = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_PANEL-if00-port0"


class BoardError(Exception):
    pass


class Board:
    """A board that is switched on, until `cut`. `disk`, where given, is /run/state and outlives it; `uart` is the far
    end of its /dev/ttyS1, `cards` that of each UART on a card, by its slot. A USB adapter (FTDI) lies beside it."""

    def __init__(self, kernel, directory, disk=None, systemd=False):
        self._directory = directory
        self.console = os.path.join(directory, "console.log")
        control, uart = os.path.join(directory, "control"), os.path.join(directory, "uart")
        cards = {slot: os.path.join(directory, f"card-{slot}") for slot in SLOTS}
        monitor = os.path.join(directory, "monitor")
        self._usb = os.path.join(directory, "usb")
        for path in (control, uart, monitor, self._usb, *cards.values()):
            if os.path.exists(path):
                os.unlink(path)
        append = (
            "console=ttyS0 root=rootfs rootfstype=9p rootflags=trans=virtio,version=9p2000.L,cache=loose ro "
            f"init={os.path.realpath(_INIT)} BOARD={'systemd' if systemd else 'quick'} quiet panic=-1 "
            "no_timer_check"  # On a busy machine the emulated timer is late, and the kernel would take it for broken.
        )
        command = ["qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-cpu", "max", "-m", "768", "-no-reboot"]
        command += ["-display", "none", "-vga", "none", "-monitor", f"unix:{monitor},server=on,wait=off", "-serial", f"file:{self.console}"]
        command += ["-chardev", f"socket,id=uart,path={uart},server=on,wait=off", "-serial", "chardev:uart"]
        for slot, path in cards.items():
            command += ["-chardev", f"socket,id=card{slot},path={path},server=on,wait=off"]
            command += ["-device", f"pci-serial,chardev=card{slot},addr=0x{slot}"]
        # QEMU plugs the adapter in when somebody connects to its far end, and pulls it out when he goes.
        command += ["-chardev", f"socket,id=usb,path={self._usb},server=on,wait=off", "-device", "qemu-xhci"]
        command += ["-device", "usb-serial,chardev=usb,serial=PANEL"]
        command += ["-chardev", f"socket,id=control,path={control},server=on,wait=on", "-device", "virtio-serial-pci"]
        command += ["-device", "virtserialport,chardev=control,name=control"]
        command += ["-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"]
        command += ["-device", "virtio-9p-pci,fsdev=root,mount_tag=rootfs"]
        command += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        if disk:
            command += ["-drive", f"file=nbd+unix:///?socket={disk.path},if=virtio,format=raw,cache=writeback"]
        command += ["-kernel", kernel, "-append", append]
        self._control = self.uart = self._monitor = None
        self.cards = {}
        with open(os.path.join(directory, "qemu.log"), "ab") as log:
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._control = self._connect(control)
            self._monitor = self._connect(monitor)
            self.uart = self._connect(uart)
            self.cards = {slot: self._connect(path) for slot, path in cards.items()}
            self._control.settimeout(300)
            self._answer()
            if disk:
                self.run("mount -t ext4 /dev/vda /run/state")
        except (BoardError, OSError):
            self.cut()
            raise

    def run(self, command, seconds=60, check=True):
        """Has the board do one line of shell, and returns what it printed."""
        self._control.settimeout(seconds)
        self._control.sendall(command.encode() + b"\n")
        said, status = self._answer()
        if check and status != 0:
            raise BoardError(f"on the board, '{command}' ended with {status}: {said}")
        return said

    def send_break(self, slot):
        """The far end of this card's line holds it at 0 for longer than a character."""
        self._monitor.sendall(f"chardev-send-break card{slot}\n".encode())

    def plug_in(self):
        """Plugs the USB adapter in. The result is its far end: closing it pulls the adapter out."""
        return self._connect(self._usb)

    def cut(self):
        """The power goes."""
        self._qemu.kill()
        self._qemu.wait()
        for connection in (self._control, self._monitor, self.uart, *self.cards.values()):
            if connection:
                connection.close()

    def _answer(self):
        said = b""
        while True:
            try:
                more = self._control.recv(65536)
            except TimeoutError:
                raise BoardError(f"the board does not answer; said so far: {said!r}; its console: {self._tail()}")
            if not more:
                raise BoardError(f"the board died; its console: {self._tail()}")
            said += more
            text, end, status = said.rpartition(b"\n\x04")
            if end and status.endswith(b"\n"):
                return text.decode(errors="replace"), int(status)

    def _connect(self, path):
        for _ in range(100):
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                if self._qemu.poll() is not None:
                    break
                time.sleep(0.1)
        raise BoardError(f"QEMU does not start: see {self._directory}/qemu.log")

    def _tail(self):
        with open(self.console, errors="replace") as file:
            return file.read()[-2000:]
