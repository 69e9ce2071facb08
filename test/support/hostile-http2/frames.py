"""Frames and header blocks of HTTP/2 as bytes, raw, so that each of them can be wrong (RFC 9113 §4, §6)."""

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
ENABLE_CONNECT_PROTOCOL = 8

# RFC 9113 §7, in the order of their numbers.
ERROR_CODES = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
]

MAX_WINDOW = 2**31 - 1


def frame(kind, stream, payload=b"", flags=0):
    """One frame; nothing about it is checked."""
    length = struct.pack(">I", len(payload))[1:]
    return length + struct.pack(">BBI", kind, flags, stream) + payload


def data(stream, payload, end=False):
    return frame(DATA, stream, payload, END_STREAM if end else 0)


def headers(stream, fields, end=False):
    """HEADERS with a whole block; `fields` are pairs of str, or the block itself."""
    return frame(HEADERS, stream, block(fields), END_HEADERS | (END_STREAM if end else 0))


def rst_stream(stream, code):
    return frame(RST_STREAM, stream, struct.pack(">I", ERROR_CODES.index(code)))


def settings(*pairs):
    return frame(SETTINGS, 0, b"".join(struct.pack(">HI", name, value) for name, value in pairs))


def goaway(last_stream, code):
    return frame(GOAWAY, 0, struct.pack(">II", last_stream, ERROR_CODES.index(code)))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", increment))


def block(fields):
    """A header block of literals without indexing, names and values as latin1 (RFC 7541 §6.2.2)."""
    if isinstance(fields, bytes):
        return fields
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def indexed_literal(name, value):
    """A literal that goes into the dynamic table (RFC 7541 §6.2.1)."""
    return b"\x40" + _string(name) + _string(value)


def _string(text):
    octets = text.encode("latin1")
    return _integer(len(octets)) + octets


def _integer(number):
    """With a prefix of seven bits (RFC 7541 §5.1)."""
    if number < 127:
        return bytes([number])
    octets, rest = [127], number - 127
    while rest >= 128:
        octets.append(rest % 128 + 128)
        rest //= 128
    return bytes([*octets, rest])
