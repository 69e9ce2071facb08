"""An honest server by python3-h2, whose state machine complains of whatever the client does wrong.

GET /bytes/COUNT gives content; POST /echo gives back the content, and the trailers if there were any.
"""

import asyncio

from connection import tell
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes


class Answer:
    """What is still to be sent on a stream."""

    def __init__(self):
        self.content = bytearray()
        self.trailers = None
        self.ended = False


class OracleConnection(asyncio.Protocol):
    def __init__(self, number):
        self._number = number
        config = H2Configuration(client_side=False, header_encoding="latin1")
        self._h2 = H2Connection(config)
        self._answers = {}
        self._peak = 0

    def connection_made(self, transport):
        tell(self._number, opened=True)
        self._transport = transport
        self._h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, octets):
        try:
            events = self._h2.receive_data(octets)
        except Exception as error:
            tell(self._number, complaint=repr(error))
            self._flush()
            return
        for event in events:
            self._act(self._take, event)
        for stream in list(self._answers):
            self._act(self._send, stream)
        self._flush()

    def connection_lost(self, error):
        tell(self._number, closed=True, peak=self._peak)

    def _act(self, action, argument):
        try:
            action(argument)
        except (StreamClosedError, StreamIDTooLowError) as error:
            # The client gave it up in the same read; h2 has forgotten it, perhaps.
            self._answers.pop(error.stream_id, None)

    def _take(self, event):
        if isinstance(event, RequestReceived):
            self._start(event.stream_id, dict(event.headers))
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self._answers:
                self._answers[event.stream_id].content += event.data
        elif isinstance(event, TrailersReceived):
            if event.stream_id in self._answers:
                self._answers[event.stream_id].trailers = event.headers
        elif isinstance(event, StreamEnded):
            if event.stream_id in self._answers:
                self._answers[event.stream_id].ended = True
        elif isinstance(event, StreamReset):
            self._answers.pop(event.stream_id, None)
            tell(self._number, sent=f"RST_STREAM {event.error_code}")
        elif isinstance(event, ConnectionTerminated):
            tell(self._number, sent=f"GOAWAY {event.error_code}")

    def _start(self, stream, fields):
        answer = self._answers[stream] = Answer()
        self._peak = max(self._peak, len(self._answers))
        path = fields[":path"]
        if path.startswith("/bytes/"):
            count = int(path.removeprefix("/bytes/").split("?")[0])
            answer.content += b"ferry" * (count // 5)
        told = [("x-authority", fields[":authority"]), ("x-path", path)]
        self._h2.send_headers(stream, [(":status", "200"), *told])

    def _send(self, stream):
        answer = self._answers[stream]
        while answer.content:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room == 0:
                return
            self._h2.send_data(stream, bytes(answer.content[:room]))
            del answer.content[:room]
        if answer.ended:
            if answer.trailers is None:
                self._h2.end_stream(stream)
            else:
                self._h2.send_headers(stream, answer.trailers, end_stream=True)
            del self._answers[stream]

    def _flush(self):
        self._transport.write(self._h2.data_to_send())
