"""The alarm centre's end: `larmnod receive` on this machine's loopback, and what it handed on."""

import json
import socket
import subprocess
import threading
import time


class Centre:
    """Keeps its port, its store and its feed while it is down."""

    def __init__(self, program, directory, libraries=""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = ["env", f"LD_LIBRARY_PATH={libraries}", program, "receive", "--listen", f"127.0.0.1:{self.port}", "--store", f"{directory}/feed.jsonl"]
        self._log = f"{directory}/centre.log"
        self._process = None
        self._feed = []
        self._news = threading.Condition()

    def start(self):
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def stop(self):
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._reader.join(10)
            self._process = None

    @property
    def feed(self):
        with self._news:
            return list(self._feed)

    def wait(self, wanted, seconds):
        """Waits until `wanted` (a function of the feed) gives something, and returns it; what it last gave if never."""
        end = time.monotonic() + seconds
        with self._news:
            while not (found := wanted(self._feed)) and (left := end - time.monotonic()) > 0:
                self._news.wait(left)
            return found

    def _read(self, lines):
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"text": f"not JSON: {line!r}"}
            with self._news:
                self._feed.append(entry)
                self._news.notify_all()
