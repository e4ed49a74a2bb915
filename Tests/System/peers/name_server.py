"""A name server: python3 name_server.py ADDRESS FILE. FILE has lines "NAME ADDRESS" and is read anew for each question.

Answers A and AAAA (RFC 1035, 3596) for five seconds; a name that is not in the file does not exist.
"""

import ipaddress
import socket
import struct
import sys

A, AAAA = 1, 28


def name(question):
    """The name asked for, and where the question ends."""
    labels, at = [], 0
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("ascii").lower())
        at += 1 + question[at]
    return ".".join(labels), at + 5


def answer(query, known):
    asked, end = name(query[12:])
    kind = struct.unpack(">H", query[12 + end - 4:12 + end - 2])[0]
    addresses = [ipaddress.ip_address(address) for known_name, address in known if known_name == asked]
    found = [a.packed for a in addresses if kind == (A if a.version == 4 else AAAA)]
    head = query[:2] + struct.pack(">HHHHH", 0x8180 if addresses else 0x8183, 1, len(found), 0, 0)
    records = (b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 5, len(packed)) + packed for packed in found)
    return head + query[12:12 + end] + b"".join(records)


def main():
    here, file = sys.argv[1:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((here, 53))
    print("ready")
    while True:
        query, sender = listener.recvfrom(512)
        with open(file, encoding="ascii") as lines:
            known = [line.split() for line in lines if line.strip()]
        try:
            listener.sendto(answer(query, known), sender)
        except (IndexError, ValueError, struct.error) as error:
            print(f"not understood: {error}")


main()
