"""Scenarios that take more than bytes: floods, what depends on the client, and what ends connections."""

import asyncio

from connection import tell
from frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    PADDED,
    PING,
    PRIORITY,
    block,
    data,
    frame,
    goaway,
    headers,
    rst_stream,
    settings,
    window_update,
)
from static_scenarios import STATIC_SCENARIOS, STATUS, UNKNOWN, head, ok

# So many frames go into one write, and so many writes are made of them.
FRAMES_A_WRITE = 100
WRITES = 1000
# The paths that were asked for before, for what happens only once.
seen = set()


async def play(connection, stream):
    """Answers a request as its path says; a path that is unknown gets 404."""
    if connection.full:
        connection.send(rst_stream(stream.number, "REFUSED_STREAM"))
        return
    name = stream.path.split("?")[0].strip("/")
    if name in STATIC_SCENARIOS:
        connection.send(STATIC_SCENARIOS[name](stream.number))
        return
    scenario = SCENARIOS.get(name.replace("-", "_"))
    if scenario is None:
        connection.send(headers(stream.number, [(":status", "404")], end=True))
        return
    await scenario(connection, stream)


async def fine(connection, stream):
    """What an honest server says; it tells on which connection."""
    number = str(connection.number)
    connection.send(headers(stream.number, [STATUS, ("x-connection", number)]) + data(stream.number, b"ok", end=True))


async def flood(connection, stream, octets, first=b""):
    connection.send(first)
    await connection.flood(octets * FRAMES_A_WRITE, WRITES)
    connection.send(ok(stream.number, b"survived"))


async def flood_continuation(connection, stream):
    first = frame(HEADERS, stream.number, block([STATUS]))
    await flood(connection, stream, frame(CONTINUATION, stream.number, block([("x", "y" * 100)])), first)


async def flood_continuation_empty(connection, stream):
    first = frame(HEADERS, stream.number, block([STATUS]))
    await flood(connection, stream, frame(CONTINUATION, stream.number), first)


async def flood_settings(connection, stream):
    await flood(connection, stream, settings((MAX_CONCURRENT_STREAMS, 100)))


async def flood_settings_empty(connection, stream):
    await flood(connection, stream, settings())


async def flood_ping(connection, stream):
    await flood(connection, stream, frame(PING, 0, bytes(8)))


async def flood_priority(connection, stream):
    await flood(connection, stream, frame(PRIORITY, stream.number, bytes(5)))


async def flood_unknown(connection, stream):
    await flood(connection, stream, frame(UNKNOWN, 0))


async def flood_window_update(connection, stream):
    await flood(connection, stream, window_update(0, 1))


async def flood_data_empty(connection, stream):
    await flood(connection, stream, data(stream.number, b""), head(stream.number))


async def flood_data_padding(connection, stream):
    """Nothing but padding, which takes of the window all the same; 32 bytes each."""
    octets = frame(DATA, stream.number, b"\x1f" + bytes(31), PADDED) * FRAMES_A_WRITE
    connection.send(head(stream.number))
    for _ in range(WRITES):
        await may_send(connection, stream, 32 * FRAMES_A_WRITE)
        await connection.flood(octets, 1)
    connection.send(data(stream.number, b"survived", end=True))


async def flood_rst(connection, stream):
    connection.send(ok(stream.number))
    await connection.flood(rst_stream(stream.number, "CANCEL") * FRAMES_A_WRITE, WRITES)


async def flood_information(connection, stream):
    await flood(connection, stream, headers(stream.number, [(":status", "103")]))


async def flood_trailers(connection, stream):
    """Blocks for a stream that has ended have to be decoded all the same."""
    connection.send(ok(stream.number))
    await connection.flood(headers(stream.number, [("x", "y" * 100)]) * FRAMES_A_WRITE, WRITES)


async def padded_content(connection, stream):
    """4 MiB on the wire, of which one byte in 256 is content."""
    connection.send(head(stream.number))
    for _ in range(16_384):
        await may_send(connection, stream, 256)
        connection.send(frame(DATA, stream.number, b"\xfeo" + bytes(254), PADDED))
    connection.send(data(stream.number, b"", end=True))


async def may_send(connection, stream, count):
    """Waits until both windows allow it, and takes it off them."""
    while connection.window < count or stream.window < count:
        await asyncio.sleep(0.001)
    connection.window -= count
    stream.window -= count


async def overrun(connection, stream):
    """One byte more than the window of the stream."""
    connection.send(head(stream.number))
    for at in range(0, stream.window, 16_384):
        connection.send(data(stream.number, bytes(min(16_384, stream.window - at))))
    connection.send(data(stream.number, b"!"))




async def frame_long_data(connection, stream):
    """DATA of one byte more than the client takes."""
    connection.send(head(stream.number) + data(stream.number, bytes(connection.max_frame + 1)))


async def early_response(connection, stream):
    """All of an answer, and no interest in the rest of the upload (RFC 9113 §8.1)."""
    stream.credit = False
    connection.send(ok(stream.number) + rst_stream(stream.number, "NO_ERROR"))


async def early_refusal(connection, stream):
    """An answer that wants no more of the upload, and leaves it to the client to stop."""
    stream.credit = False
    connection.send(headers(stream.number, [(":status", "413")], end=True))


async def early_response_reading(connection, stream):
    """All of an answer, while the upload goes on to its end."""
    connection.send(ok(stream.number))
    await stream.ended.wait()
    tell(connection.number, note=f"received {stream.received}")


async def rst_in_upload(connection, stream):
    connection.send(rst_stream(stream.number, "CANCEL"))


async def shrinking_window(connection, stream):
    """The window falls below nothing while content is on its way (RFC 9113 §6.9.2)."""
    connection.send(settings((INITIAL_WINDOW_SIZE, 0)))
    await connection.settings_acks.get()
    await connection.settings_acks.get()
    await asyncio.sleep(0.02)
    held = stream.received
    await asyncio.sleep(0.05)
    if stream.received != held:
        tell(connection.number, complaint="content beyond the window")
    connection.send(settings((INITIAL_WINDOW_SIZE, 100_000)))
    await stream.ended.wait()
    connection.send(ok(stream.number, str(stream.received).encode()))


async def table_size(connection, stream):
    """The client's encoder has to follow, or hpack refuses its next block (RFC 7541 §4.2)."""
    connection._decoder.max_allowed_table_size = 0
    connection.send(settings((HEADER_TABLE_SIZE, 0)))
    await connection.settings_acks.get()
    await connection.settings_acks.get()
    connection.send(ok(stream.number))


async def no_streams(connection, stream):
    """No further request is welcome for a while (RFC 9113 §5.1.2)."""
    connection.send(settings((MAX_CONCURRENT_STREAMS, 0)) + ok(stream.number))
    await asyncio.sleep(0.1)
    if len(connection.streams) > 1:
        tell(connection.number, complaint="a stream beyond the limit")
    connection.send(settings((MAX_CONCURRENT_STREAMS, 1)))


async def ping(connection, stream):
    """Answers once the client has answered with the same octets (RFC 9113 §6.7)."""
    connection.send(frame(PING, 0, b"12345678"))
    connection.send(ok(stream.number, await connection.pongs.get()))


async def refused_once(connection, stream):
    """Nothing was done about it, so it may be sent again (RFC 9113 §8.7)."""
    if is_first(stream):
        connection.send(rst_stream(stream.number, "REFUSED_STREAM"))
    else:
        await fine(connection, stream)


async def goaway_unprocessed(connection, stream):
    """As above, for all that is above the last stream (RFC 9113 §6.8)."""
    if is_first(stream):
        connection.send(goaway(max(0, stream.number - 2), "NO_ERROR"))
    else:
        await fine(connection, stream)


async def goaway_unprocessed_close(connection, stream):
    if is_first(stream):
        connection.send(goaway(max(0, stream.number - 2), "NO_ERROR"))
        await connection.close()
    else:
        await fine(connection, stream)


def is_first(stream):
    first = stream.path not in seen
    seen.add(stream.path)
    return first


async def goaway_close(connection, stream):
    connection.send(goaway(stream.number, "NO_ERROR"))
    await connection.close()


async def goaway_error(connection, stream):
    connection.send(goaway(stream.number, "INTERNAL_ERROR"))
    await connection.close()


async def goaway_serving(connection, stream):
    """The last stream is still served after the connection takes no more."""
    connection.send(goaway(stream.number, "NO_ERROR") + head(stream.number))
    await asyncio.sleep(0.05)
    connection.send(data(stream.number, b"ok", end=True))


async def close(connection, stream):
    await connection.close()


async def close_in_body(connection, stream):
    connection.send(head(stream.number) + data(stream.number, b"o"))
    await connection.close()


async def close_in_frame(connection, stream):
    connection.send(head(stream.number) + data(stream.number, b"ok")[:-1])
    await connection.close()


async def stall(connection, stream):
    """Never answers."""


async def deaf(connection, stream):
    """Never answers, not even a PING."""
    connection.deaf = True


async def count(connection, stream):
    """Tells how much content came."""
    await stream.ended.wait()
    connection.send(ok(stream.number, str(stream.received).encode()))


NOT_SCENARIOS = {"play", "flood", "may_send"}
SCENARIOS = {
    name: function
    for name, function in list(globals().items())
    if asyncio.iscoroutinefunction(function) and name not in NOT_SCENARIOS
}
