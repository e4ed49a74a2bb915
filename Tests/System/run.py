#!/usr/bin/env python3
"""Tries the real executable: independent peers, crashes, hostile receivers, full and failing disks, wrong clocks.

    python3 Tests/System/run.py PATH_TO_LARMNOD [--long] [--seed N] [--workers N] [--list] [NAME...]

NAME is a test's name or its beginning: "disk", "hostile.mute". Each test is a process with a directory and an address
of its own, ends within its limit, and prints one line; one that fails prints why, and the ends of its logs. Mounting
needs root: otherwise sudo without a password is used. Exits with 1 when a test failed.
"""

import argparse
import concurrent.futures
import contextlib
import importlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import rig

RUNNING = set()  # process groups of tests
HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 240


def tests():
    """Every test by its name: (function, the value it is for)."""
    found = {}
    for file in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(file.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                full = f"{file.stem.removeprefix('test_')}.{name.removeprefix('test_').replace('_', '-')}"
                for value in getattr(function, "values", [None]):
                    found[full if value is None else f"{full}.{value}"] = (function, value)
    return found


def run_one(options, name):
    """In a process of its own: one test."""
    function, value = tests()[name]
    case = rig.Case(options.program, options.directory, f"{options.seed}:{name}", options.long)
    try:
        function(case) if value is None else function(case, value)
        return 0
    except rig.Failed as failure:
        print(failure)
    except Exception:
        traceback.print_exc(file=sys.stdout)
    finally:
        sys.stdout.flush()
        case.close()
    for line in case.tails():
        print(line)
    return 1


def judge(options, base, name):
    """Runs one test; returns whether it passed, and what to print."""
    directory = base / name.replace(".", "-")[:40]
    directory.mkdir()
    arguments = [sys.executable, __file__, options.program, "--one", name, "--directory", directory, "--seed", options.seed]
    limit = getattr(tests()[name][0], "limit", LIMIT) * (8 if options.long else 1)
    began = time.monotonic()
    child = subprocess.Popen(
        [str(a) for a in arguments] + (["--long"] if options.long else []), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    RUNNING.add(child.pid)
    try:
        output, passed = child.communicate(timeout=limit)[0], child.returncode == 0
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, passed = child.communicate()[0] + f"not done within {limit} s\n", False
        for log in sorted(directory.glob("*.log")):
            output += f"--- {log.name} (its end)\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]) + "\n"
    clear(child.pid, directory)
    RUNNING.discard(child.pid)
    what = (tests()[name][0].__doc__ or "").strip().split("\n")[0]
    line = f"{'ok  ' if passed else 'FAIL'} {name:34} {time.monotonic() - began:5.0f} s  {what}"
    if not passed:
        line += "".join(f"\n     {row}" for row in output.splitlines())
    elif output.strip():
        line += f" ({output.strip().splitlines()[-1]})"
    return passed, line


def clear(group, directory):
    """Nothing of a test outlives it: processes, mounts, files."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
    mounts = [line.split()[1] for line in open("/proc/mounts") if line.split()[1].startswith(f"{directory}/")]
    for mount in reversed(mounts):
        subprocess.run([*rig.as_root(), "umount", "-l", mount], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the larmnod to try")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--long", action="store_true", help="200 kills instead of 25, and longer elsewhere")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    # A test takes one or two seconds of processor time, whatever it waits for.
    parser.add_argument("--workers", type=int, default=4, help="tests at once, and as many again of those that only wait")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    options.program = str(pathlib.Path(options.program).resolve())
    if options.one:
        return run_one(options, options.one)
    names = [n for n in tests() if not options.names or any(n.startswith(wanted) for wanted in options.names)]
    if options.list or not names:
        print("\n".join(names or [f"no test begins with {' or '.join(options.names)}"]))
        return 0 if names else 1
    print(f"seed {options.seed}", flush=True)
    base = pathlib.Path(tempfile.mkdtemp(prefix="larmnod-"))
    base.chmod(0o755)  # other users look in, to be refused
    passed = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is cleared away
    try:
        subprocess.run([HERE.parent / "Standins" / "libgpiod" / "build.sh", base / "standin"], check=True)
        # The long ones that only wait have a pool of their own.
        pools = [concurrent.futures.ThreadPoolExecutor(options.workers) for _ in range(2)]
        with pools[0], pools[1]:
            # The longest first.
            order = sorted(names, key=lambda name: -getattr(tests()[name][0], "limit", LIMIT))
            begun = [
                pools[getattr(tests()[name][0], "waits", False)].submit(judge, options, base, name) for name in order]
            try:
                for done in concurrent.futures.as_completed(begun):
                    ok, line = done.result()
                    passed += ok
                    print(line, flush=True)
            except KeyboardInterrupt:
                for pool in pools:
                    pool.shutdown(wait=False, cancel_futures=True)
                for group in RUNNING.copy():
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(group, signal.SIGKILL)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(f"{passed} passed, {len(names) - passed} failed")
    return 0 if passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
