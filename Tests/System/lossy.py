"""A bad line between the gateway and a receiver: delay, loss, repetition, reordering, stalls, resets, bytes one by one.

Whatever it does, what arrives is what was sent: it never invents a frame (`wire.Middle` is the one that lies).
"""

import asyncio
import collections
import socket
import threading

import wire


class Line:
    """Listens over TCP or UDP at `address`. `rates`: how often each thing happens to a frame, from 0 to 1; `delay`: seconds
    there and back together. `done` counts what has happened, `most` the connections at a time. May be cut and mended."""

    def __init__(self, case, upstream, transport, delay=0.3, **rates):
        host, port = upstream.rsplit(":", 1)
        self.upstream, self.transport, self.delay, self.rates = (host, int(port)), transport, delay, rates
        self.random, self.done, self.is_cut = case.random, collections.Counter(), False
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind((case.host, 0))
        self.address = "%s:%d" % self.socket.getsockname()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, what: None)  # connections break here by design
        self.tasks = set()
        self.open = self.most = 0
        threading.Thread(target=self.run, daemon=True).start()
        case.endings.append(lambda: self.loop.call_soon_threadsafe(self.loop.stop))

    def run(self):
        asyncio.set_event_loop(self.loop)
        if self.transport == "tcp":
            self.socket.listen(64)
            self.loop.run_until_complete(asyncio.start_server(self.serve, sock=self.socket))
        else:
            self.loop.run_until_complete(
                self.loop.create_datagram_endpoint(lambda: Datagrams(self), sock=self.socket))
        self.loop.run_forever()

    def happens(self, what):
        hit = self.random.random() < self.rates.get(what, 0)
        self.done[what] += hit
        return hit

    def later(self, seconds, function, *arguments):
        self.loop.call_later(max(0, seconds), function, *arguments)

    async def serve(self, reader, writer):
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self.relay(reader, writer)
        finally:
            self.open -= 1

    async def relay(self, reader, writer):
        if self.is_cut:
            return writer.transport.abort()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            return writer.transport.abort()
        there = self.keep(self.pump(reader, far_writer, writer, "request"))
        back = self.keep(self.pump(far_reader, writer, far_writer, "reply"))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        back.cancel()
        far_writer.close()
        writer.close()

    def keep(self, work):
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def pump(self, reader, writer, back, what):
        """Frames of one direction, each after its delay and in order, but for what `rates` does to them."""
        pending, held = b"", b""
        queue = asyncio.Queue()
        sender = self.keep(self.send(queue, writer, what))
        try:
            while data := await reader.read(65536):
                whole, pending = wire.frames(pending + data)
                for frame in whole:
                    if self.is_cut or self.happens("reset"):
                        # Both ends hear RST; what is on its way is gone.
                        writer.transport.abort()
                        return back.transport.abort()
                    if what == "reply" and not held and self.happens("reorder"):
                        held = frame  # comes after the next one, which is none of its business
                        continue
                    times = 2 if self.happens(f"repeat-{what}") else 1
                    due = self.loop.time() + self.delay / 2
                    queue.put_nowait((due, frame * times + held))
                    held = b""
        except OSError:
            pass
        finally:
            sender.cancel()

    async def send(self, queue, writer, what):
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - self.loop.time()))
            if self.happens("stall"):
                await asyncio.sleep(self.random.uniform(0.5, 2))
            if self.happens("split"):
                for byte in data:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0)
            else:
                writer.write(data)


class Datagrams(asyncio.DatagramProtocol):
    """Datagrams both ways: each client has a socket of its own to the receiver, as behind a router."""

    def __init__(self, line):
        self.line, self.clients = line, {}

    def connection_made(self, transport):
        self.near = transport

    def datagram_received(self, data, address):
        self.line.keep(self.forward(data, address))

    async def forward(self, data, address):
        if address not in self.clients:
            far, _ = await self.line.loop.create_datagram_endpoint(
                lambda: Replies(self, address), remote_addr=self.line.upstream)
            self.clients.setdefault(address, far)
        self.pass_on(data, self.clients[address].sendto)

    def pass_on(self, data, send):
        line = self.line
        if line.is_cut or line.happens("loss"):
            return
        for _ in range(2 if line.happens("repeat") else 1):
            # Those that are quicker than others overtake them.
            line.later(line.delay / 2 * line.random.uniform(0.2, 1.8), send, data)


class Replies(asyncio.DatagramProtocol):
    def __init__(self, owner, address):
        self.owner, self.address = owner, address

    def datagram_received(self, data, _):
        self.owner.pass_on(data, lambda reply: self.owner.near.sendto(reply, self.address))

    def error_received(self, error):
        pass  # the receiver is away: nobody answers, as on any bad line
