"""A socket whose two directions fail by themselves.

asyncio's own streams drop what has come as soon as a write fails; here what a client said before it
closed the connection is still read.
"""

import asyncio
import contextlib
import socket

RECEIVE_BYTES = 65_536


class Wire:
    """Reads and writes a socket that is already connected and does not block."""

    def __init__(self, sock):
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._received = bytearray()
        self._unsent = bytearray()
        self._wanted = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()
        self._writer = asyncio.create_task(self._write())

    async def read(self, count):
        """Gives so many bytes; raises EOFError at the end, with what there was."""
        while len(self._received) < count:
            try:
                octets = await self._loop.sock_recv(self._sock, RECEIVE_BYTES)
            except OSError:
                octets = b""
            if not octets:
                raise EOFError(bytes(self._received))
            self._received += octets
        octets = bytes(self._received[:count])
        del self._received[:count]
        return octets

    def write(self, octets):
        self._unsent += octets
        self._sent.clear()
        self._wanted.set()

    async def drain(self):
        """Waits until the system has all that was written, or takes no more."""
        await self._sent.wait()

    async def end(self):
        """Ends the connection once the system has all; whoever reads comes to the end."""
        await self.drain()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Lets go of it; nobody may be reading."""
        self._writer.cancel()
        self._sock.close()

    async def _write(self):
        broken = False
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            octets = bytes(self._unsent)
            self._unsent.clear()
            try:
                if not broken:
                    await self._loop.sock_sendall(self._sock, octets)
            except OSError:
                broken = True
            if not self._unsent:
                self._sent.set()
