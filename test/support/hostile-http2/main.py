"""A server of HTTP/2 by prior knowledge that breaks the rules as the path of a request asks it to.

    python3 main.py MODULES PORT...

MODULES is where Debian has h2, hyperframe and hpack. Each port greets in a way of its own, in this order:

    settings     with SETTINGS, as is right
    silent       not at all; scenarios are played all the same
    http1        with a response of HTTP/1.1
    ping         with PING before SETTINGS
    close        by closing the connection
    full         with SETTINGS that allow no streams, for FULL_S
    oracle       as python3-h2 does: see oracle.py

What clients do is told on stdout: see `tell` in connection.py.
"""

import asyncio
import itertools
import socket
import sys

sys.path.append(sys.argv[1])

from connection import Connection  # noqa: E402
from frames import MAX_CONCURRENT_STREAMS, PING, frame, settings  # noqa: E402
from oracle import OracleConnection  # noqa: E402
from scenarios import play  # noqa: E402
from wire import Wire  # noqa: E402

HOST = "127.0.0.1"
SETTINGS = settings((MAX_CONCURRENT_STREAMS, 100))
NO_STREAMS = settings((MAX_CONCURRENT_STREAMS, 0))
FULL_S = 0.15
GREETINGS = [
    SETTINGS,
    b"",
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    frame(PING, 0, bytes(8)) + SETTINGS,
    None,
    NO_STREAMS,
]
numbers = itertools.count(1)


def relent(connection):
    connection.full = False
    connection.send(SETTINGS)


async def serve(greeting, port):
    """Takes connections for ever."""
    loop = asyncio.get_running_loop()
    listening = socket.create_server((HOST, port))
    listening.setblocking(False)
    running = set()
    while True:
        sock, _ = await loop.sock_accept(listening)
        task = asyncio.create_task(run(greeting, sock))
        running.add(task)
        task.add_done_callback(running.discard)


async def run(greeting, sock):
    if greeting is None:
        sock.close()
        return
    connection = Connection(next(numbers), Wire(sock), play)
    if greeting is NO_STREAMS:
        connection.full = True
        asyncio.get_running_loop().call_later(FULL_S, relent, connection)
    await connection.run(greeting)


async def main():
    ports = [int(port) for port in sys.argv[2:]]
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: OracleConnection(next(numbers)), HOST, ports[-1])
    await asyncio.gather(*(serve(greeting, port) for greeting, port in zip(GREETINGS, ports)))


asyncio.run(main())
