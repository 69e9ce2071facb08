"""One connection as its server has it: hyperframe reads what the client sends, scenarios answer.

Prints what the client does to it, a line of JSON each: see `tell`.
"""

import asyncio
import json

from frames import (
    ACK,
    ERROR_CODES,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PING,
    SETTINGS,
    frame,
    window_update,
)
from hpack import Decoder
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Larger than any request of the tests.
MAX_LIST_BYTES = 10_000_000
PACE_S = 0.001


def tell(connection, **facts):
    """`opened`, `request`, `sent` (an error code of the client's), `complaint`, `note`, or `closed`."""
    print(json.dumps({"connection": connection, **facts}), flush=True)


class Stream:
    """One request."""

    def __init__(self, connection, number, window):
        self.connection = connection
        self.number = number
        self.fields = {}
        self.received = 0
        # Whether what is received is given back to the client's window.
        self.credit = True
        # How much we may send.
        self.window = window
        self.ended = asyncio.Event()
        self.reset = asyncio.Event()

    @property
    def path(self):
        return self.fields.get(":path", "/")


class Connection:
    """Plays the scenario that the path of each request names, once the request's head is here."""

    def __init__(self, number, wire, play):
        self.number = number
        self.streams = {}
        self.closed = asyncio.Event()
        # Of the client's SETTINGS.
        self.initial_window = 65_535
        self.max_frame = 16_384
        # How much we may send on all streams together.
        self.window = 65_535
        # Says nothing but what scenarios say.
        self.silent = False
        # Reads no more.
        self.deaf = False
        # Takes no streams.
        self.full = False
        self.pongs = asyncio.Queue()
        self.settings_acks = asyncio.Queue()
        self._wire = wire
        self._play = play
        self._decoder = Decoder(max_header_list_size=MAX_LIST_BYTES)
        self._block = None
        self._tasks = set()

    def send(self, octets):
        if not self.closed.is_set():
            self._wire.write(octets)

    async def flood(self, octets, times):
        """
        Sends the same again and again while the client bears it; tells how often.

        At a pace at which the client has read all of it, so that what it says at last is not lost in
        the reset of a connection that is closed with something unread.
        """
        for count in range(times):
            if self.closed.is_set():
                tell(self.number, note=f"flood ended after {count}")
                return
            self._wire.write(octets)
            await self._wire.drain()
            await asyncio.sleep(PACE_S)

    async def close(self):
        await self._wire.end()

    async def run(self, greeting):
        tell(self.number, opened=True)
        self.silent = greeting == b""
        try:
            self.send(greeting)
            if await self._wire.read(len(PREFACE)) != PREFACE:
                tell(self.number, complaint="no preface")
            while True:
                await self._read_frame()
                if self.deaf:
                    await asyncio.Event().wait()
        except EOFError as error:
            if error.args[0]:
                tell(self.number, complaint="the last frame is not whole")
        except (HyperframeError, ValueError) as error:
            tell(self.number, complaint=repr(error))
        finally:
            self.closed.set()
            for task in self._tasks:
                task.cancel()
            self._wire.close()
            tell(self.number, closed=True)

    async def _read_frame(self):
        received, length = Frame.parse_frame_header(memoryview(await self._wire.read(9)), strict=True)
        body = await self._wire.read(length)
        if length > 16_384:
            tell(self.number, complaint=f"a frame of {length} bytes")
        received.parse_body(memoryview(body))
        if self._block is not None and type(received).__name__ != "ContinuationFrame":
            tell(self.number, complaint="a header block was interrupted")
        getattr(self, f"_on_{type(received).__name__}", lambda _: None)(received)
        await self._wire.drain()

    def _on_SettingsFrame(self, received):
        if "ACK" in received.flags:
            self.settings_acks.put_nowait(True)
            return
        window = received.settings.get(INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():
            stream.window += window - self.initial_window
        self.initial_window = window
        self.max_frame = received.settings.get(MAX_FRAME_SIZE, self.max_frame)
        if not self.silent:
            self.send(frame(SETTINGS, 0, b"", ACK))

    def _on_HeadersFrame(self, received):
        number = received.stream_id
        stream = self.streams.get(number)
        if stream is None:
            stream = self.streams[number] = Stream(self, number, self.initial_window)
        self._block = (stream, [received.data], "END_STREAM" in received.flags)
        self._end_block("END_HEADERS" in received.flags)

    def _on_ContinuationFrame(self, received):
        self._block[1].append(received.data)
        self._end_block("END_HEADERS" in received.flags)

    def _end_block(self, ended):
        if not ended:
            return
        stream, pieces, end_stream = self._block
        self._block = None
        fields = dict(self._decoder.decode(b"".join(pieces)))
        if end_stream:
            stream.ended.set()
        if stream.fields:
            return
        stream.fields = fields
        tell(self.number, request=stream.path, stream=stream.number)
        task = asyncio.create_task(self._play(self, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_DataFrame(self, received):
        stream = self.streams.get(received.stream_id)
        if stream is None:
            tell(self.number, complaint="DATA of no request")
            return
        stream.received += len(received.data)
        if received.flow_controlled_length > 0 and stream.credit:
            self.send(window_update(0, received.flow_controlled_length))
            self.send(window_update(stream.number, received.flow_controlled_length))
        if "END_STREAM" in received.flags:
            stream.ended.set()

    def _on_WindowUpdateFrame(self, received):
        if received.stream_id == 0:
            self.window += received.window_increment
        elif received.stream_id in self.streams:
            self.streams[received.stream_id].window += received.window_increment

    def _on_PingFrame(self, received):
        if "ACK" in received.flags:
            self.pongs.put_nowait(bytes(received.opaque_data))
        elif not self.silent:
            self.send(frame(PING, 0, bytes(received.opaque_data), ACK))

    def _on_RstStreamFrame(self, received):
        tell(self.number, sent=f"RST_STREAM {ERROR_CODES[received.error_code]}", stream=received.stream_id)
        if received.stream_id in self.streams:
            self.streams[received.stream_id].reset.set()

    def _on_GoAwayFrame(self, received):
        debug = received.additional_data.decode("latin1")
        tell(self.number, sent=f"GOAWAY {ERROR_CODES[received.error_code]}", debug=debug)
