"""Receives with pysiaalarm, a receiver written by others; a JSON object a line of what it understood.

pysiaalarm_receiver.py threaded|asyncio tcp|udp HOST PORT ACCOUNT [KEY AS TEXT]
"""

import asyncio
import json
import sys
import threading

from pysiaalarm import CommunicationsProtocol, SIAAccount, SIAClient
from pysiaalarm.aio import SIAClient as AsyncioClient

style, transport, host, port, account, *key = sys.argv[1:]
accounts = [SIAAccount(account, key[0] if key else None)]
protocol = CommunicationsProtocol.TCP if transport == "tcp" else CommunicationsProtocol.UDP


def tell(event):
    names = ("account", "sequence", "code", "ri", "message", "message_type", "event_qualifier", "event_type", "partition",
             "encrypted")  # fmt: skip
    said = {name: getattr(event, name) for name in names}
    line = json.dumps({**said, "message_type": str(getattr(event.message_type, "value", event.message_type)),
                       "response": str(event.response)})  # fmt: skip
    # In one piece: each message comes on a thread of its own, and print writes the line's end by itself.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def tell_async(event):
    tell(event)


async def serve():
    client = AsyncioClient(host, int(port), accounts, tell_async, protocol=protocol)
    await client.async_start(reuse_port=True)
    print("ready", flush=True)
    await asyncio.Future()


if style == "threaded":
    SIAClient(host, int(port), accounts, tell, protocol=protocol).start()
    print("ready", flush=True)
    threading.Event().wait()
else:
    asyncio.run(serve())
