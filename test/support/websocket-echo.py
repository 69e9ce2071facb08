"""Echoes WebSocket messages with Debian's python3-websockets.

Arguments: the port, and the folder of Debian's modules, which another python3 would not find.
"""

import asyncio
import sys

sys.path.append(sys.argv[2])
import websockets  # noqa: E402


async def echo(socket):
    if socket.subprotocol is not None:
        await socket.send("subprotocol " + socket.subprotocol)
    async for message in socket:
        if message == "close":
            await socket.close(4001, "as you wish")
        else:
            await socket.send(message)


async def main():
    async with websockets.serve(
        echo, "127.0.0.1", int(sys.argv[1]), subprotocols=["chat"], max_size=2**26
    ):
        await asyncio.Future()


asyncio.run(main())
