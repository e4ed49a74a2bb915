#!/usr/bin/env python3
"""The real executable on a virtual board: kernel GPIO, a UART, a network, systemd, power that goes; judged by what the
centre hears. Cases are in cases.py and service.py.

    scripts/board/run.sh [./PROGRAM] [--also ./PROGRAM [--libraries DIRECTORY]] [--cuts N] [--seed N] [--keep] [CASE …]

Ends with `N passed, N failed`; the exit status says the same.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

import cases
import service
from board import BoardError
from rig import Failure, Rig


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def try_each(self, rig, chosen):
        """Every case is tried, whatever became of the one before."""
        try:
            rig.centre.start()
            rig.power_on()
        except (BoardError, OSError) as error:
            self.fail("the board does not start", error, "")
            return
        for case in chosen:
            began = time.monotonic()
            try:
                case(rig)
            except (Failure, BoardError) as error:
                self.fail(case.__name__, error, rig.log())
            except Exception:  # A fault of the test's own must not keep the other cases from being tried.
                self.fail(case.__name__, traceback.format_exc(), rig.log())
            else:
                self.passed += 1
                print(f"  ok {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)

    def fail(self, name, error, log):
        self.failed += 1
        print(f"FAIL {name}: {error}", flush=True)
        for line in log.splitlines():
            print(f"     | {line}", flush=True)


def main():
    names = [case.__name__ for case in cases.CASES + service.CASES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--also", metavar="PROGRAM", help="tried with the contacts' cases too: another libgpiod's")
    parser.add_argument("--libraries", default="", metavar="DIRECTORY", help="shared libraries that --also needs")
    parser.add_argument("--tests", default="", metavar="XCTEST", help="the Swift tests' executable, for one case")
    parser.add_argument("--cuts", type=int, default=3, help="how often power_cuts cuts the power (3)")
    parser.add_argument("--seed", type=int, help="decides when power goes and what goes with it; printed at the start")
    parser.add_argument("--keep", action="store_true", help="keep logs, disk and feed, which a failure keeps anyway")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"only these of: {', '.join(names)}")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    program = os.path.realpath(options.program)
    print(f"board: {program}, seed {seed}", flush=True)

    tally = Tally()
    directory = tempfile.mkdtemp(prefix="larmnod-board.")
    os.chmod(directory, 0o755)  # The service reads from it as an ordinary user.
    runs = [("quick", program, "", cases.CASES), ("systemd", program, "", service.CASES)]
    if options.also:
        libraries = os.path.realpath(options.libraries) if options.libraries else ""
        runs.insert(1, ("also", os.path.realpath(options.also), libraries, cases.CONTACTS))
    for name, tried, libraries, every in runs:
        chosen = [case for case in every if not options.cases or case.__name__ in options.cases]
        if not chosen:
            continue
        place = os.path.join(directory, name)
        os.mkdir(place)
        if name == "also":
            print(f"also: {tried}", flush=True)
        rig = Rig(options.kernel, tried, place, seed, systemd=name == "systemd", libraries=libraries)
        rig.cuts = options.cuts
        rig.tests = os.path.realpath(options.tests) if options.tests else ""
        rig.test_libraries = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.build-standin"))
        try:
            tally.try_each(rig, chosen)
        finally:
            rig.close()
    if options.keep or tally.failed:
        print(f"board: logs, disk and feed are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
