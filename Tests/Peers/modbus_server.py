#!/usr/bin/env python3
"""A Modbus device for tests and the demonstration: units on TCP or RTU, with faults on demand.

Independent of the driver it is asked by: pymodbus 3.16.1 (pip install 'pymodbus[serial]==3.16.1').

    modbus_server.py --tcp 5020 --unit 1 --unit 2
    modbus_server.py --rtu /dev/pts/7 --line "9600 8N1" --unit 1 --set 1:discrete-input:3=1

Prints "ready" when it listens. Then takes commands, one a line, and answers each with "ok" or "error: ...":

    set UNIT TABLE ADDRESS VALUE [VALUE ...]   TABLE: coil, discrete-input, holding-register, input-register
    silent UNIT                                it answers no more
    late UNIT SECONDS                          its next reply comes late; nobody else is answered meanwhile
    exception UNIT CODE                        it answers every request with this exception
    hole UNIT TABLE ADDRESS                    this register does not exist: exception 2 (registers only)
    protect UNIT CODE                          it answers every write with this exception
    hide UNIT                                  its coils cannot be read: exception 1
    stick UNIT                                 it confirms writes of several coils, and all of them stay 0
    clears UNIT COIL ADDRESS COUNT             writing this coil sets these coils to 0, as a module clears its latches
    normal UNIT                                ends all of these
    get UNIT TABLE ADDRESS                     "ok 1": what it holds
    written UNIT                               "ok 5:3 15:8+2": function, address (and count) of all it was told to write
    count UNIT                                 how many requests it has got: "ok 17"
    quit
"""

import argparse
import asyncio
import logging
import sys
import time

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

TABLES = {"coil": 1, "discrete-input": 2, "holding-register": 3, "input-register": 4}
SIZE = 1024  # addresses in each table


class Unit:
    """One unit: what it does with a request, besides answering it."""

    def __init__(self, number):
        self.number = number
        self.requests = 0
        self.written = set()
        self.is_ours = False  # a command of ours, not a request
        self.normal()

    def normal(self):
        self.silent = False
        self.late = 0.0
        self.exception = None
        self.holes = set()
        self.protection = None
        self.is_hidden = self.is_stuck = False
        self.clears = {}

    async def act(self, function, _start, address, count, _registers, values):
        if self.is_ours:
            return None
        self.requests += 1
        if values is not None:
            self.written.add(f"{function}:{address}" + (f"+{len(values)}" if function == 15 else ""))
        if self.late:
            # Blocks everybody, as a busy line does: replies keep their order.
            late, self.late = self.late, 0.0
            time.sleep(late)
        if self.silent:
            raise NoSuchIdException("silent")
        if self.exception:
            return ExcCodes(self.exception)
        if values is not None and self.protection:
            return ExcCodes(self.protection)
        if values is not None and function == 5 and address in self.clears:
            first, number = self.clears[address]
            await store(self.server, self, "coil", first, [0] * number)
        if values is not None and self.is_stuck and function == 15:
            values[:] = [False] * len(values)
        if self.is_hidden and function == 1:
            return ExcCodes.ILLEGAL_FUNCTION
        if any(table == function and address <= hole < address + count for table, hole in self.holes):
            return ExcCodes.ILLEGAL_ADDRESS
        return None

    def device(self):
        bits = [SimData(0, values=[False] * SIZE, datatype=DataType.BITS)]
        words = [SimData(0, values=[0] * SIZE, datatype=DataType.REGISTERS)]
        return SimDevice(id=self.number, simdata=(list(bits), list(bits), list(words), list(words)), action=self.act)


async def store(server, unit, table, address, values):
    function = TABLES[table]
    values = [bool(v) for v in values] if function <= 2 else [v & 0xFFFF for v in values]
    unit.is_ours = True
    try:
        error = await server.async_setValues(unit.number, function, address, values)
    finally:
        unit.is_ours = False
    if error:
        raise ValueError(f"{table} {address} does not exist")


async def look(server, unit, table, address):
    unit.is_ours = True
    try:
        return int((await server.async_getValues(unit.number, TABLES[table], address))[0])
    finally:
        unit.is_ours = False


async def obey(server, units, words):
    """Does what one command says, and returns what to print after "ok"."""
    match words:
        case ["set", unit, table, address, *values] if values:
            await store(server, units[int(unit)], table, int(address), [int(v, 0) for v in values])
        case ["silent", unit]:
            units[int(unit)].silent = True
        case ["late", unit, seconds]:
            units[int(unit)].late = float(seconds)
        case ["exception", unit, code]:
            units[int(unit)].exception = int(code)
        case ["hole", unit, table, address] if table.endswith("register"):
            units[int(unit)].holes.add((TABLES[table], int(address)))
        case ["protect", unit, code]:
            units[int(unit)].protection = int(code)
        case ["hide", unit]:
            units[int(unit)].is_hidden = True
        case ["stick", unit]:
            units[int(unit)].is_stuck = True
        case ["clears", unit, coil, address, count]:
            units[int(unit)].clears[int(coil)] = (int(address), int(count))
        case ["get", unit, table, address]:
            return f" {await look(server, units[int(unit)], table, int(address))}"
        case ["written", unit]:
            return "".join(f" {what}" for what in sorted(units[int(unit)].written))
        case ["normal", unit]:
            units[int(unit)].normal()
        case ["count", unit]:
            return f" {units[int(unit)].requests}"
        case _:
            raise ValueError("not understood")
    return ""


async def serve(arguments):
    units = {number: Unit(number) for number in arguments.unit or [1]}
    devices = [unit.device() for unit in units.values()]
    if arguments.tcp is not None:
        server = ModbusTcpServer(devices, address=(arguments.host, arguments.tcp), ignore_missing_devices=True)
    else:
        speed, framing = arguments.line.split()
        server = ModbusSerialServer(
            devices, framer=FramerType.RTU, port=arguments.rtu, baudrate=int(speed), bytesize=int(framing[0]),
            parity=framing[1], stopbits=int(framing[2]), ignore_missing_devices=True,
        )  # fmt: skip
    for unit in units.values():
        unit.server = server
    await server.serve_forever(background=True)
    for text in arguments.set or []:
        place, _, value = text.partition("=")
        await obey(server, units, ["set", *place.split(":"), value])
    print("ready", flush=True)

    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode():
        words = line.split()
        if words == ["quit"]:
            break
        try:
            print("ok" + await obey(server, units, words), flush=True)
        except (KeyError, ValueError) as error:
            print(f"error: {line.strip()}: {error!r}", flush=True)
    else:
        if arguments.stay:
            await asyncio.get_running_loop().create_future()
    await server.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", type=int, metavar="PORT")
    where.add_argument("--rtu", metavar="PORT", help="a serial port or pseudo-terminal")
    parser.add_argument("--host", default="127.0.0.1", help="where TCP listens")
    parser.add_argument("--line", default="9600 8N1", help='"9600 8N1"')
    parser.add_argument("--unit", type=int, action="append", metavar="NUMBER")
    parser.add_argument("--set", action="append", metavar="UNIT:TABLE:ADDRESS=VALUE")
    parser.add_argument("--stay", action="store_true", help="go on when standard input ends")
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
