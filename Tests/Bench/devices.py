"""The devices of a measured site, and the floor of storing what they bring."""

import math
import os

import rig

KB, MB = 1024, 1024 * 1024
ROW = 200  # bytes that an event of ours takes, generously: the floors write so much for each
PAGE, PAGE_DATA = 4120, 4096


def milliseconds(nanoseconds):
    return nanoseconds / 1e6


class Panels:
    """Fire panels on pseudo-terminals, and the configuration that listens to them."""

    def __init__(self, count):
        self.links = [os.path.join(rig.place, f"panel-{number}") for number in range(1, count + 1)]
        self.peer = rig.Peer("peers", "panels", *self.links)
        self.devices = panels(self.links)

    def calls(self, each):
        """Every panel calls so often. - Returns: nanoseconds for all."""
        count, first, last = self.peer.numbers(f"calls {each}")
        if count != each * len(self.links):
            raise rig.Failure(f"The panels were acknowledged {count} calls of {each * len(self.links)}.")
        return last - first


class Module:
    """An input module all of whose inputs change at once, and the configuration that reads it."""

    def __init__(self, inputs, interval="20ms"):
        self.inputs, self.port = inputs, rig.free_port()
        self.peer = rig.Peer("peers", "modbus", self.port, inputs)
        self.devices = module(self.port, inputs, interval)

    def toggle(self, times):
        """- Returns: nanoseconds from the first change to the last one stored."""
        _, first, last = self.peer.numbers(f"toggle {times}")
        return last - first


def grouped_floor(floor, count, events_each):
    """Nanoseconds for so many synced appends of a group of events each."""
    pages = math.ceil(events_each * ROW / PAGE_DATA)
    return sum(floor.numbers(f"append {count} {pages * PAGE}"))


def panels(links):
    return "".join(
        f'[device.espa.panel-{number}]\nport = "{link}"\nsilence = "0s"\n'
        f'[device.espa.panel-{number}.point.call]\nkind = "fire"\nzone = {number}\n'
        for number, link in enumerate(links, 1))


def module(port, inputs, interval=None):
    timing = f'interval = "{interval}"\n' if interval else ""
    return f'[device.modbus.module]\naddress = "127.0.0.1:{port}"\n{timing}' + "".join(
        f'[device.modbus.module.point.input-{number}]\nunit = 1\ntable = "discrete-input"\nregister = {number}\n'
        f'kind = "burglary"\nzone = {number % 999 + 1}\ntext = "Input {number}"\n'
        for number in range(inputs))


def contacts(lines):
    return '[device.gpio.cabinet]\nchip = "bench"\n' + "".join(
        f'[device.gpio.cabinet.point.contact-{number}]\nline = {number}\ncontact = "normally-open"\n'
        f'kind = "burglary"\nzone = {number + 1}\n'
        for number in range(lines))
