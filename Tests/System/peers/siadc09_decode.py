"""Decodes DC-09 frames with siadc09, a codec written by others.

Takes {"key": hex or null, "frames": [Latin-1 text]} on standard input; a JSON object a frame on standard output.
"""

import json
import sys

from siadc09 import message

work = json.load(sys.stdin)
key = bytes.fromhex(work["key"]) if work["key"] else None
for frame in work["frames"]:
    decoded = message.parse_frame(frame.encode("latin-1"), key)
    told = {"token": decoded.idtoken, "sequence": decoded.seq, "account": f"{decoded.account.acct:X}",
            "encrypted": decoded.encrypted, "time": str(decoded.timestamp), "texts": [], "events": []}  # fmt: skip
    for block in getattr(decoded.data, "blocks", []):
        told["events"] += [[event.code, event.addr] for event in getattr(block, "events", [])]
        if block.functioncode == "A":
            told["texts"].append(block.content.decode("cp1252"))
    if event := getattr(decoded.data, "event", None):
        told["events"].append([event.qualifier + event.code, event.addr])
    told["extended"] = [f"{block.prefix}{block.value}" for block in decoded.xdata]
    print(json.dumps(told))
