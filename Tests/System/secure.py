"""Certificates made for one test, and receivers that speak TLS: ours, Python's, OpenSSL's, and some that do not really."""

import re
import socket
import ssl
import subprocess
import threading
import time

import rig
import wire


class Certificates:
    """Files of Tests/Peers/certificates.sh, in a directory of the test."""

    def __init__(self, case):
        self.directory = case.directory / "certificates"
        self.directory.mkdir()
        made = case.run([rig.PEERS / "certificates.sh", self.directory, case.host])
        rig.expect("certificates.sh", (made.returncode, made.stdout), (0, ""))

    def __getitem__(self, name):
        """The path of a file: "server.pem"."""
        return str(self.directory / name)

    def listening(self, name="server", client_authority=None):
        """The options of a receiver."""
        more = ["--tls-client-authority", self[f"{client_authority}.pem"]] if client_authority else []
        return ["--tls-certificate", self[f"{name}.pem"], "--tls-key", self[f"{name}.key"], *more]


class Peer:
    """A receiver by Python's ssl (OpenSSL): acknowledges what comes over TLS, or is hostile. Keeps all bytes that came.

    acknowledge   as a receiver does
    plain         no TLS: reads, and answers what it got with a sentence
    stall         takes the connection, reads, and never answers the handshake
    close         closes as soon as the handshake begins
    garbage       random bytes for ever
    handshake     the beginning of a handshake record, and zeros for ever
    early-ack     an ACK for whatever may be asked, sent before anything came
    """

    def __init__(self, case, certificates, mode="acknowledge", name="server", version=None, client_authority=None):
        self.mode, self.frames, self.raw, self.handshakes, self.is_over = mode, [], b"", 0, False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates[f"{name}.pem"], certificates[f"{name}.key"])
        if version:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = self.context.maximum_version = version
        if client_authority:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(certificates[f"{client_authority}.pem"])
        self.listener = socket.create_server((case.host, 0))
        self.address = "%s:%d" % self.listener.getsockname()
        case.endings.append(self.close)
        threading.Thread(target=self.listen, daemon=True).start()

    def close(self):
        self.is_over = True
        self.listener.close()

    def listen(self):
        while not self.is_over:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        client.settimeout(rig.PATIENCE)
        with client:
            try:
                if self.mode in ("acknowledge", "early-ack"):
                    with self.context.wrap_socket(client, server_side=True) as secure:
                        self.handshakes += 1
                        self.converse(secure)
                else:
                    self.misbehave(client)
            except OSError:  # ssl.SSLError is one
                pass

    def converse(self, secure):
        if self.mode == "early-ack":
            secure.sendall(wire.frame('"ACK"0000L0#4711[]'))
        pending = b""
        while not self.is_over:
            data = secure.recv(65536)
            if not data:
                return
            self.raw += data
            whole, pending = wire.frames(pending + data)
            for request in whole:
                self.frames.append(request)
                secure.sendall(wire.answer("ACK", request))

    def misbehave(self, client):
        self.raw += client.recv(65536)
        if self.mode == "plain":
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis is a proxy.\r\n")
        elif self.mode == "stall":
            while self.raw and not self.is_over:
                more = client.recv(65536)
                self.raw += more
                if not more:
                    return
        elif self.mode in ("garbage", "handshake"):
            noise = bytes(range(1, 256)) if self.mode == "garbage" else b"\x16\x03\x03\x40\x00" + bytes(0x4000)
            while not self.is_over:
                client.sendall(noise)
                time.sleep(0.001)


class OpenSSL:
    """`openssl s_server`: takes what comes and prints it. No DC-09, so it acknowledges nothing."""

    def __init__(self, case, certificates, *options, name="server"):
        port = case.port()
        self.address = f"{case.host}:{port}"
        self.process = case.start(
            "openssl", ["openssl", "s_server", "-accept", self.address, "-cert", certificates[f"{name}.pem"],
                        "-key", certificates[f"{name}.key"], *options],
            stdin=subprocess.PIPE)  # fmt: skip  (it ends with its input)
        rig.eventually("openssl s_server listens", lambda: "ACCEPT" in self.process.text())


def frames_in_clear(raw):
    """Whatever of DC-09 can be read in these bytes."""
    return re.findall(rb'"\*?(?:NULL|SIA-DCS|ADM-CID)"', raw)
