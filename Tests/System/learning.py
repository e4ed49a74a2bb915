"""A technician at `larmnod learn`, by a script: one line of input for each state that he shows."""

import re
import subprocess

from rig import eventually, expect, require


class Technician:
    """Shows states to a loop, and reads what learn makes of them."""

    def __init__(self, case, gateway, device, point):
        self.process = case.start(
            "learn", [case.program, "learn", device, point, "--socket", gateway.socket], stdin=subprocess.PIPE)  # fmt: skip
        self.seen = 0

    def until(self, pattern):
        """Waits for words after those that have been seen."""
        found = eventually(
            f"learn says {pattern}", lambda: re.search(pattern, self.process.text()[self.seen :]), lambda found: found)
        self.seen += found.end()
        return found

    def type(self, line=""):
        self.process.popen.stdin.write(f"{line}\n".encode())
        self.process.popen.stdin.flush()

    def show(self, state, put, expected):
        """When it asks for this state: puts the loop there, and says so."""
        self.until(f"{state.upper()}: ")
        put()
        self.type()
        self.until(expected)

    def setting(self):
        """The finished setting."""
        line = self.until(r"(?m)^end-of-line = .*$").group(0)
        require("it says what follows from it", "borders in counts" in self.process.text(), self.process.text())
        expect("the exit status", self.process.popen.wait(30), 0)
        return line


def refused_without_test_mode(case, gateway, device, point):
    result = case.run([case.program, "learn", device, point, "--socket", gateway.socket])
    expect("learn without test mode", result.returncode, 1)
    require("it says what to do", "larmnod test-mode on" in result.stdout, result.stdout)


def set_test_mode(gateway, *arguments):
    state, *rest = arguments
    result = gateway.case.run([gateway.case.program, "test-mode", state, "--socket", gateway.socket, *rest])
    expect(f"test-mode {state} ({result.stdout})", result.returncode, 0)


def begin_test_mode(gateway, centre):
    set_test_mode(gateway, "on", "--for", "30m", "--why", "learning loops")
    centre.until("test mode", lambda e: e["sia"] == "TS")


def relearn(gateway, table, setting):
    """Puts the setting in place of the table of the point's end-of-line, and starts anew."""
    text = gateway.file.read_text(encoding="utf-8")
    head = f"[{table}.end-of-line]\n"
    require("the table is there", head in text, text)
    before, _, after = text.partition(head)
    rows, _, rest = after.partition("\n\n")
    point = f"[{table}]\n"
    require("and its point", point in before, before)
    gateway.file.write_text(before.replace(point, f"{point}{setting}\n") + rest, encoding="utf-8")
    gateway.stop()
    gateway.start()
    return rows
