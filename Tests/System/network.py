"""Hosts of a test and the cables between them: network namespaces and pairs of virtual interfaces (iproute2).

No namespace has a name. Each is held by a process of the test that ends when the test does, however it ends, and what
was in it ends with it: there is nothing to sweep up. Root makes them as it is; anybody else within a user namespace.
"""

import pathlib
import subprocess
import sys

import rig

PEERS = pathlib.Path(__file__).resolve().parent / "peers"


class Host:
    """A host: its own interfaces, routes and names. `program` is what to put before a command to run it there."""

    def __init__(self, case, name, world=None):
        self.case, self.name = case, name
        user = [] if not rig.as_root() else ["--user", "--map-root-user"]
        make = [*world.program, "unshare", "--net", "--mount"] if world else ["unshare", *user, "--net", "--mount"]
        # `cat` ends when this process does: nobody holds the other end of its input then.
        self.holder = subprocess.Popen(
            [*make, "sh", "-c", "echo ready; exec cat >/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        case.endings.append(self.close)
        if self.holder.stdout.readline() != "ready\n":
            raise rig.Failed(
                "no network namespace can be made: this test needs root, or user namespaces for everybody "
                f"(sysctl user.max_user_namespaces): {self.holder.communicate()[1]}")
        enter = ["--user", "--preserve-credentials"] if user else []
        self.program = ["nsenter", "--target", str(self.holder.pid), *enter, "--net", "--mount"]
        self.ip("link", "set", "lo", "up")

    def close(self):
        self.holder.kill()
        self.holder.wait()

    def run(self, *command):
        result = self.case.run([*self.program, *command])
        if result.returncode != 0:
            raise rig.Failed(f"on {self.name}: {' '.join(map(str, command))}: {result.stdout}")
        return result.stdout

    def ip(self, *words):
        return self.run("ip", *words)

    def set(self, **values):
        """Kernel settings below /proc/sys/net: ipv4__ip_forward=1."""
        for name, value in values.items():
            self.run("sh", "-c", f"echo {value} > /proc/sys/net/{name.replace('__', '/')}")

    def own_file(self, path, text):
        """This host's own /etc/hosts or such. Returns the file, which may be written to later."""
        file = self.case.directory / f"{self.name}-{path.strip('/').replace('/', '-')}"
        file.write_text(text)
        self.run("mount", "--bind", file, path)
        return file

    def reaches(self, address, port, interface=None):
        """Whether a TCP connection from here gets an answer: accepted."""
        script = (
            "import socket, sys\nhost, port, interface = sys.argv[1:]\n"
            "s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)\ns.settimeout(5)\n"
            "if interface: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())\n"
            "s.connect((host, int(port)))\n")
        result = self.case.run([*self.program, sys.executable, "-c", script, address, str(port), interface or ""])
        return result.returncode == 0


class Leg:
    """A cable from a host to the internet: the host has address 2 of its net, the internet has address 1."""

    def __init__(self, internet, host, number, interface, metric):
        self.internet, self.host, self.number, self.interface, self.metric = internet, host, number, interface, metric
        self.far = f"to-{interface}"
        self.plug_in()

    def address(self, end=2):
        return f"10.20.{self.number}.{end}"

    def address6(self, end=2):
        return f"fd20:{self.number}::{end}"

    def plug_in(self):
        """Makes both interfaces, addresses and the host's route."""
        self.internet.ip(
            "link", "add", self.far, "type", "veth", "peer", "name", self.interface, "netns", str(self.host.holder.pid))
        for host, interface, end in ((self.internet, self.far, 1), (self.host, self.interface, 2)):
            host.ip("addr", "add", f"{self.address(end)}/24", "dev", interface)
            host.ip("-6", "addr", "add", f"{self.address6(end)}/64", "dev", interface, "nodad")
            host.ip("link", "set", interface, "up")
        self.route()

    def route(self):
        """As whoever manages the host's network does when an interface is there again."""
        self.host.ip("route", "replace", "default", "via", self.address(1), "dev", self.interface, "metric", self.metric)
        self.host.ip("-6", "addr", "replace", f"{self.address6(2)}/64", "dev", self.interface, "nodad")
        self.host.ip("-6", "route", "replace", "default", "via", self.address6(1), "dev", self.interface, "metric", self.metric)

    def swallow(self, kind="blackhole"):
        """Packets to this host vanish on their way: without a word, or with one ("unreachable")."""
        self.internet.ip("route", "add", kind, f"{self.address()}/32")
        self.internet.ip("-6", "route", "add", kind, f"{self.address6()}/128")

    def pass_again(self):
        self.internet.ip("route", "del", f"{self.address()}/32")
        self.internet.ip("-6", "route", "del", f"{self.address6()}/128")


class Country:
    """The box with two interfaces, two centres, and the internet between: every way leads to both centres."""

    def __init__(self, case):
        self.case = case
        self.internet = Host(case, "internet")
        self.internet.set(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        self.box, self.first, self.second = (Host(case, n, self.internet) for n in ("box", "first", "second"))
        self.fibre = Leg(self.internet, self.box, 1, "eth-fibre", "100")
        self.mobile = Leg(self.internet, self.box, 2, "eth-4g", "200")
        self.to_first = Leg(self.internet, self.first, 3, "centre-a", "100")
        self.to_second = Leg(self.internet, self.second, 4, "centre-b", "100")

    def receivers(self):
        return (
            self.receiver("first", self.first, f"{self.to_first.address()}:7700"),
            self.receiver("second", self.second, f"{self.to_second.address()}:7700"))

    def receiver(self, name, host, address, **settings):
        return rig.Receiver(self.case, name, address=address, program=[*host.program, self.case.program], **settings)

    def gateway(self, *tables, **settings):
        return rig.Gateway(self.case, *tables, program=[*self.box.program, self.case.program], **settings)

    def paths(self, first, second, **settings):
        """A path to each of two receivers, each over its interface."""
        return (
            rig.path("fibre", first.address, interface="eth-fibre", **settings),
            rig.path("mobile", second.address, interface="eth-4g", **settings))

    def name_server(self, lines):
        """A name server of the box, on the internet. Returns its process, and its file of lines "NAME ADDRESS"."""
        file = self.case.directory / "names"
        file.write_text(lines)
        address = self.fibre.address(1)
        if pathlib.Path("/etc/nsswitch.conf").exists():  # it may lead past the file below, to a service of this computer
            self.box.own_file("/etc/nsswitch.conf", "hosts: files dns\n")
        self.box.own_file("/etc/resolv.conf", f"nameserver {address}\noptions timeout:1 attempts:1\n")
        return self.case.start(
            "name-server", [*self.internet.program, sys.executable, "-u", PEERS / "name_server.py", address, file]), file
