"""TLS below DC-09: the right receiver is reached, every other is refused in words, and nothing ever goes in clear instead."""

import ssl
import subprocess
import time

import rig
import secure
import wire
from rig import each, eventually, expect, limit, require

QUICK = {"timeout": "2s", "attempts": 2, "poll": "1s"}
GROWTH = 32 << 20  # bytes that the gateway may grow by while it is shouted at


def why(gateway, name):
    return next(p["why"] for p in gateway.status()["paths"] if p["name"] == name) or ""


TRUSTED = {
    "pinned": lambda files: {"certificate": files["server.pem"]},
    "several-pinned": lambda files: {"certificate": files["both.pem"]},
    "authority": lambda files: {"authority": files["ca.pem"]},
    "authority-name": lambda files: {"authority": files["ca.pem"], "server-name": "larm.example.se"},
    "client-certificate": lambda files: {
        "authority": files["ca.pem"], "client-certificate": files["client.pem"], "client-key": files["client.key"]},
}


@each(*TRUSTED)
def test_delivers(case, trust):
    """events arrive over TLS at our own receiver, and the feed says how they came"""
    files = secure.Certificates(case)
    demanded = "ca" if trust == "client-certificate" else None
    centre, panel = rig.Receiver(case, "centre", *files.listening(client_authority=demanded)), rig.Panel(case)
    settings = {key.replace("-", "_"): value for key, value in TRUSTED[trust](files).items()}
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, transport="tls", interface="lo", **settings),
        panel.table()).start()  # fmt: skip
    panel.must("over TLS")
    event = centre.until("the event", lambda e: e["text"] == "over TLS")
    expect("how it came", event["path"]["transport"], "tls")
    gateway.until_delivered()
    expect("what status says", [(p["state"], p["tls"]) for p in gateway.status()["paths"]], [("works", True)])


@each("1.2", "1.3", "rsa")
def test_python(case, kind):
    """Python's ssl as the receiver: each frame comes whole and once, in one connection"""
    files = secure.Certificates(case)
    version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}.get(kind)
    name = "old-style" if kind == "rsa" else "server"
    peer, panel = secure.Peer(case, files, version=version, name=name), rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", peer.address, transport="tls", authority=files["ca.pem"]), panel.table()).start()
    for number in range(10):
        panel.must(f"call {number}")
    gateway.until_delivered()
    texts = [number for number in range(10) if sum(f"call {number}".encode() in f for f in peer.frames) == 1]
    expect("each call came once", texts, list(range(10)))
    expect("connections", peer.handshakes, 1)


# What the receiver is, what the path expects of it, and what is said of the two.
REFUSED = {
    "wrong-pin": (dict(name="renewed"), dict(certificate="server.pem"), "is not the pinned one: SHA-256"),
    "same-key-other-certificate": (dict(name="stranger"), dict(certificate="server.pem"), "is not the pinned one"),
    "unknown-authority": (dict(name="stranger"), dict(authority="ca.pem"), "is not issued by the authority in"),
    "self-signed": (dict(name="alone"), dict(authority="ca.pem"), "is not issued by the authority in"),
    "wrong-name": (dict(name="elsewhere"), dict(authority="ca.pem"), "is for larm.example.org, expected 127."),
    "wrong-server-name": (
        dict(), dict(authority="ca.pem", server_name="larm.example.net"), "expected larm.example.net"),
    "no-name": (dict(name="nameless"), dict(authority="ca.pem"), "no subject alternative name"),
    "expired": (dict(name="expired"), dict(authority="ca.pem"), "expired on "),
    "expired-pin": (dict(name="expired"), dict(certificate="expired.pem"), "expired on "),
    "client-missing": (dict(client_authority="ca"), dict(authority="ca.pem"), "client-certificate"),
    "client-missing-1.2": (
        dict(client_authority="ca", version=ssl.TLSVersion.TLSv1_2), dict(authority="ca.pem"), "client-certificate"),
    "client-wrong": (
        dict(client_authority="ca"),
        dict(authority="ca.pem", client_certificate="client-stranger.pem", client_key="client-stranger.key"),
        "client-certificate"),
    "old": (dict(version=ssl.TLSVersion.TLSv1), dict(certificate="server.pem"), "has no TLS 1.2 or later"),
    "plain": (dict(mode="plain"), dict(certificate="server.pem"), "does not speak TLS"),
    "stall": (dict(mode="stall"), dict(certificate="server.pem"), "TLS is not set up within"),
    "close": (dict(mode="close"), dict(certificate="server.pem"), "while TLS was set up"),
    "garbage": (dict(mode="garbage"), dict(certificate="server.pem"), "does not speak TLS"),
    "handshake": (dict(mode="handshake"), dict(certificate="server.pem"), "TLS "),
    "early-ack": (dict(mode="early-ack", name="elsewhere"), dict(authority="ca.pem"), "is for larm.example.org"),
}  # fmt: skip


@each(*REFUSED)
def test_refused(case, kind):
    """the path is down and says why, nothing was said to that receiver, and the next path delivers"""
    files = secure.Certificates(case)
    peer_options, settings, words = REFUSED[kind]
    peer, second, panel = secure.Peer(case, files, **peer_options), rig.Receiver(case, "second"), rig.Panel(case)
    settings = {k: v if k == "server_name" else files[v] for k, v in settings.items()}
    gateway = rig.Gateway(
        case, rig.path("a", peer.address, transport="tls", **settings, **QUICK), rig.path("b", second.address),
        panel.table()).start()  # fmt: skip
    memory = gateway.process.memory()
    panel.must("meanwhile")
    second.until_text("meanwhile")
    eventually("the path is down", lambda: gateway.path_state("a"), lambda state: state == "down")
    eventually(f"the reason says {words}", lambda: why(gateway, "a"), lambda said: words in said)
    second.until("the path's trouble", lambda e: e["sia"] == "YS" and "path a:" in (e["text"] or ""))
    time.sleep(2)  # for what the peer may still do
    expect("what the receiver got of ours", (peer.frames, secure.frames_in_clear(peer.raw)), ([], []))
    require("memory stays bounded", gateway.process.memory() - memory < GROWTH, gateway.process.memory())
    expect("open connections to it", connections(gateway, peer.address) <= 4, True)


def connections(gateway, address):
    """How many TCP connections the gateway has to it, in whatever state."""
    port = int(address.rsplit(":", 1)[1])
    rows = [row.split() for row in open(f"/proc/{gateway.process.pid}/net/tcp").read().splitlines()[1:]]
    return sum(int(row[2].split(":")[1], 16) == port and row[3] not in ("06", "07") for row in rows)


@each("-tls1", "-Verify")
def test_openssl(case, kind):
    """openssl s_server: one that knows TLS 1.0 only, and one that demands a certificate, are refused in words"""
    files = secure.Certificates(case)
    options = {"-tls1": ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
               "-Verify": ["-Verify", "2", "-verify_return_error", "-CAfile", files["ca.pem"]]}[kind]
    server, second, panel = secure.OpenSSL(case, files, *options), rig.Receiver(case, "second"), rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", server.address, transport="tls", certificate=files["server.pem"], **QUICK),
        rig.path("b", second.address), panel.table()).start()  # fmt: skip
    panel.must("meanwhile")
    second.until_text("meanwhile")
    words = {"-tls1": "TLS 1.2 or later", "-Verify": "client-certificate"}[kind]
    eventually(f"the reason says {words}", lambda: why(gateway, "a"), lambda said: words in said)
    require("nothing was said in clear", not secure.frames_in_clear(server.process.text().encode()), "a frame")


def test_openssl_client(case):
    """openssl s_client: our receiver takes TLS 1.2, refuses 1.1 and clear text, and wants the certificate it asks for"""
    files = secure.Certificates(case)
    centre = rig.Receiver(case, "centre", *files.listening(client_authority="ca"))

    def client(name, *options):
        """Whether it is acknowledged, before the connection ends."""
        process = case.start(
            f"openssl-{name}",
            ["openssl", "s_client", "-connect", centre.address, "-CAfile", files["ca.pem"], "-verify_return_error",
             "-quiet", *options], stdin=subprocess.PIPE)  # fmt: skip
        process.popen.stdin.write(wire.frame('"NULL"0000L0#4711[]'))
        process.popen.stdin.flush()

        def is_acknowledged():
            return '"ACK"0000L0#4711[]' in process.text()

        eventually("s_client has an answer", lambda: is_acknowledged() or not process.is_running())
        return is_acknowledged()

    own = ["-cert", files["client.pem"], "-key", files["client.key"]]
    expect("with a certificate, 1.2", client("1.2", "-tls1_2", *own), True)
    expect("with a certificate, 1.3", client("1.3", "-tls1_3", *own), True)
    expect("with a certificate, 1.1", client("1.1", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", *own), False)
    expect("without a certificate", client("none"), False)
    stranger = ["-cert", files["client-stranger.pem"], "-key", files["client-stranger.key"]]
    expect("with one of another authority", client("stranger", *stranger), False)


def test_renewed(case):
    """the receiver's certificate is renewed: with both pinned nothing is noticed; else the path is down until it is pinned"""
    files = secure.Certificates(case)
    first, second = rig.Receiver(case, "first", *files.listening()), rig.Receiver(case, "second")
    panel = rig.Panel(case)

    def gateway(pins):
        return rig.Gateway(
            case, rig.path("a", first.address, transport="tls", certificate=files[pins], **QUICK),
            rig.path("b", second.address), panel.table())  # fmt: skip

    def renew(name):
        first.kill()
        first.options = files.listening(name)
        first.start()

    running = gateway("both.pem").start()
    panel.must("before")
    eventually("it came", lambda: first.texts() + second.texts(), lambda texts: "before" in texts)
    renew("renewed")
    count = 0

    def again():
        nonlocal count
        count += 1
        panel.must(f"after {count}")
        running.until_delivered()
        return first.texts()

    eventually("the first path carries on", again, lambda texts: any("after" in (t or "") for t in texts))
    running.stop()
    running = gateway("server.pem").start()
    eventually("the path is down", lambda: running.path_state("a"), lambda state: state == "down")
    require("it says why", "is not the pinned one" in why(running, "a"), why(running, "a"))
    second.until("the path's trouble", lambda e: e["sia"] == "YS" and "not the pinned one" in (e["text"] or ""))
    panel.must("over the second")
    second.until_text("over the second")
    running.stop()
    running = gateway("renewed.pem").start()
    eventually("the path works", lambda: running.path_state("a"), lambda state: state == "works")
    running.until_delivered()
    told = [e for e in first.feed() + second.feed() if e["sia"] == "YK" and "path a:" in (e["text"] or "")]
    require("the end of its trouble is told", told, "no YK")


@limit(300)
def test_expiry(case):
    """a certificate that expires soon is told once, an expired one again, and the renewed one ends both"""
    files = secure.Certificates(case)
    first, second = rig.Receiver(case, "first", *files.listening("soon")), rig.Receiver(case, "second")

    def gateway(pin, client):
        return rig.Gateway(
            case, rig.path(
                "a", first.address, transport="tls", certificate=files[f"{pin}.pem"],
                client_certificate=files[f"{client}.pem"], client_key=files[f"{client}.key"], **QUICK),
            rig.path("b", second.address)).start()  # fmt: skip

    def told(running):
        running.until_delivered()
        return [(e["point"], e["sia"]) for e in running.events() if ".c" in e["point"] and "path.a." in e["point"]]

    running = gateway("soon", "client-soon")
    both = [("path.a.certificate", "YX"), ("path.a.client-certificate", "YX")]
    eventually("both are told", lambda: sorted(told(running)), lambda seen: seen == both)
    came = first.until("the event", lambda e: "our client certificate expires on 20" in (e["text"] or ""))
    require("it says how long", "in 19 days" in came["text"] or "in 20 days" in came["text"], came["text"])
    running.stop()

    running = gateway("soon", "client-soon")
    eventually("the path works", lambda: running.path_state("a"), lambda state: state == "works")
    time.sleep(3)
    expect("told again after a restart", sorted(told(running)), both)
    running.stop()

    # The certificate that is shown now was never told of: the pinned one has expired.
    running = gateway("expired", "client")
    expired = [*both, ("path.a.certificate.expired", "YX"), ("path.a.client-certificate", "YZ")]
    eventually("the expired one is told", lambda: sorted(told(running)), lambda seen: seen == sorted(expired))
    running.stop()

    first.kill()
    first.options = files.listening("renewed")
    first.start()
    running = gateway("renewed", "client")
    ended = [*expired, ("path.a.certificate", "YZ"), ("path.a.certificate.expired", "YZ")]
    eventually("the renewed one ends it", lambda: sorted(told(running)), lambda seen: seen == sorted(ended))


def test_check(case):
    """larmnod check says what is wrong with certificates and keys, where, and never what is in a key"""
    files = secure.Certificates(case)
    secret = open(files["client.key"]).read().splitlines()[1][:20]

    def check(**settings):
        gateway = rig.Gateway(case, rig.path("a", "larm.example.se:7700", **settings))
        result = case.run([case.program, "check", gateway.file])
        require("no key is shown", secret not in result.stdout and "Sesam" not in result.stdout, result.stdout)
        return result.returncode, result.stdout

    own = {"client_certificate": files["client.pem"], "client_key": files["client.key"]}
    expect("a good one", check(transport="tls", certificate=files["server.pem"], **own)[0], 0)
    code, said = check(transport="tls", certificate=files["soon.pem"])
    require("one that expires soon is a note", code == 0 and "note:" in said and "expires on 20" in said, said)
    code, said = check(transport="tls", certificate=files["expired.pem"])
    require("an expired one is an error", code == 1 and "site.toml:" in said and "expired on 20" in said, said)
    code, said = check(transport="tls", authority=files["ca.pem"], **{**own, "client_key": files["server.key"]})
    require("a key of another", code == 1 and "does not belong to the first certificate" in said, said)
    code, said = check(transport="tls", authority=files["ca.pem"], **{**own, "client_key": files["locked.key"]})
    require("a locked key", code == 1 and "passphrase" in said, said)
    (files.directory / "client.key").chmod(0o644)
    code, said = check(transport="tls", authority=files["ca.pem"], **own)
    require("a key that others may read", code == 1 and "chmod 600" in said, said)
    (files.directory / "client.key").chmod(0o600)
    pem = open(files["client.key"]).read()
    code, said = check(transport="tls", authority=files["ca.pem"], **{**own, "client_key": pem})
    require("a key in the site file", code == 1 and "the name of a file" in said, said)
