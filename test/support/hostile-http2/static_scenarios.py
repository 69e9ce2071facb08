"""Scenarios that are bytes: the answer to a request on stream `s`, whatever the client does.

The names are the paths that ask for them; what a client has to make of each stands in
test/interop/hostile-http2-table.ts.
"""

from frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    goaway,
    headers,
    indexed_literal,
    rst_stream,
    settings,
    window_update,
)

STATUS = (":status", "200")
# An odd number that no test reaches.
IDLE = 1001
ORIGIN = 0xC
UNKNOWN = 0x63
UNKNOWN_SETTING = 0x99
# Beyond the 64 KiB that a head may have: as it is sent, and with the 32 bytes that each field counts.
LONG = [("x-long", "a" * 8000)] * 9
MANY = [("x-many", "a")] * 3000
SOME = [("x-some", "a")] * 1000


def ok(s, content=b"ok"):
    return headers(s, [STATUS]) + data(s, content, end=True)


def head(s, *fields):
    """An unfinished response."""
    return headers(s, [STATUS, *fields])


def whole(s, *fields):
    """A response without content."""
    return headers(s, [STATUS, *fields], end=True)


def in_pieces(s, octets, size=16_000):
    """A block in HEADERS and as many CONTINUATION as it takes."""
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    last = len(pieces) - 1
    return b"".join(
        frame(
            HEADERS if index == 0 else CONTINUATION,
            s,
            piece,
            (END_HEADERS if index == last else 0),
        )
        for index, piece in enumerate(pieces)
    )


SETTINGS_SCENARIOS = {
    "settings-push": lambda s: settings((ENABLE_PUSH, 1)),
    "settings-push-2": lambda s: settings((ENABLE_PUSH, 2)),
    "settings-push-0": lambda s: settings((ENABLE_PUSH, 0)) + ok(s),
    "settings-window": lambda s: settings((INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)),
    "settings-frame-small": lambda s: settings((MAX_FRAME_SIZE, 16_383)),
    "settings-frame-large": lambda s: settings((MAX_FRAME_SIZE, 2**24)),
    "settings-length": lambda s: frame(SETTINGS, 0, bytes(5)),
    "settings-ack-payload": lambda s: frame(SETTINGS, 0, bytes(6), ACK),
    "settings-stream": lambda s: frame(SETTINGS, s),
    "settings-unknown": lambda s: settings((UNKNOWN_SETTING, 7)) + ok(s),
    "settings-connect-2": lambda s: settings((ENABLE_CONNECT_PROTOCOL, 2)),
    "settings-connect-back": lambda s: settings((ENABLE_CONNECT_PROTOCOL, 1))
    + settings((ENABLE_CONNECT_PROTOCOL, 0)),
}

FRAME_SCENARIOS = {
    "data-stream-0": lambda s: data(0, b"x"),
    "headers-stream-0": lambda s: headers(0, [STATUS]),
    "headers-even": lambda s: headers(2, [STATUS]),
    "headers-idle": lambda s: headers(IDLE, [STATUS]),
    "data-idle": lambda s: data(IDLE, b"x"),
    "rst-idle": lambda s: rst_stream(IDLE, "CANCEL"),
    "rst-stream-0": lambda s: rst_stream(0, "CANCEL"),
    "rst-length": lambda s: frame(RST_STREAM, s, bytes(3)),
    "ping-length": lambda s: frame(PING, 0, bytes(7)),
    "ping-stream": lambda s: frame(PING, s, bytes(8)),
    "priority-length": lambda s: frame(PRIORITY, s, bytes(4)),
    "priority-stream-0": lambda s: frame(PRIORITY, 0, bytes(5)),
    "priority": lambda s: frame(PRIORITY, s, bytes(5)) + ok(s),
    "goaway-length": lambda s: frame(GOAWAY, 0, bytes(7)),
    "goaway-stream": lambda s: frame(GOAWAY, s, bytes(8)),
    "push-promise": lambda s: frame(
        PUSH_PROMISE, s, bytes([0, 0, 0, 2]) + block([(":method", "GET")]), END_HEADERS
    ),
    "continuation-alone": lambda s: frame(CONTINUATION, s, block([STATUS]), END_HEADERS),
    "continuation-other-stream": lambda s: frame(HEADERS, s, block([STATUS]))
    + frame(CONTINUATION, s + 2, b"", END_HEADERS),
    "block-interrupted": lambda s: frame(HEADERS, s, block([STATUS])) + frame(PING, 0, bytes(8)),
    "block-interrupted-unknown": lambda s: frame(HEADERS, s, block([STATUS])) + frame(UNKNOWN, 0),
    "block-in-pieces": lambda s: in_pieces(s, block([STATUS, ("x-long", "a" * 20_000)]))
    + data(s, b"ok", end=True),
    "padding-data": lambda s: head(s) + frame(DATA, s, bytes([5, 0, 0, 0, 0]), PADDED),
    "padding-headers": lambda s: frame(HEADERS, s, bytes([5]) + bytes(4), PADDED | END_HEADERS),
    "padding-empty": lambda s: head(s) + frame(DATA, s, b"", PADDED),
    "padding-whole": lambda s: head(s)
    + frame(DATA, s, bytes([4, 0, 0, 0, 0]), PADDED)
    + data(s, b"ok", end=True),
    # The length says all: nothing of that need come.
    "frame-long-headers": lambda s: b"\xff\xff\xff" + frame(HEADERS, s, b"", END_HEADERS)[3:],
    "unknown-frame": lambda s: frame(UNKNOWN, s, b"?") + frame(ORIGIN, 0) + ok(s),
    "reserved-bit": lambda s: headers(s | 2**31, [STATUS]) + data(s, b"ok", end=True),
    "window-update-length": lambda s: frame(WINDOW_UPDATE, s, bytes(3)),
    "window-update-idle": lambda s: window_update(IDLE, 1),
    "window-update-0": lambda s: window_update(s, 0),
    "window-update-0-connection": lambda s: window_update(0, 0),
    "window-overflow": lambda s: window_update(s, MAX_WINDOW),
    "window-overflow-connection": lambda s: window_update(0, MAX_WINDOW),
    "window-overflow-settings": lambda s: window_update(s, MAX_WINDOW - 65_535)
    + settings((INITIAL_WINDOW_SIZE, MAX_WINDOW)),
}

STREAM_SCENARIOS = {
    "data-first": lambda s: data(s, b"x"),
    "headers-after-end": lambda s: ok(s) + headers(s, [STATUS]),
    "data-after-end": lambda s: ok(s) + data(s, b"x"),
    "rst-after-end": lambda s: ok(s) + rst_stream(s, "NO_ERROR"),
    "window-update-after-end": lambda s: ok(s) + window_update(s, 1),
    "head-twice": lambda s: head(s) + headers(s, [("x", "y")]),
    "trailers": lambda s: head(s) + data(s, b"ok") + headers(s, [("x-sum", "abc")], end=True),
    "information-end": lambda s: headers(s, [(":status", "103")], end=True),
    "information-late": lambda s: head(s) + headers(s, [(":status", "103")]),
    "information-flood": lambda s: headers(s, [(":status", "103")]) * 1000 + ok(s),
    "rst-before-head": lambda s: rst_stream(s, "CANCEL"),
    "rst-internal": lambda s: rst_stream(s, "INTERNAL_ERROR"),
    "rst-calm": lambda s: rst_stream(s, "ENHANCE_YOUR_CALM"),
    "rst-http-1.1": lambda s: rst_stream(s, "HTTP_1_1_REQUIRED"),
    "rst-in-body": lambda s: head(s) + data(s, b"o") + rst_stream(s, "INTERNAL_ERROR"),
    "rst-no-error-in-body": lambda s: head(s) + data(s, b"o") + rst_stream(s, "NO_ERROR"),
    "refused-always": lambda s: rst_stream(s, "REFUSED_STREAM"),
    "goaway-graceful": lambda s: goaway(MAX_WINDOW, "NO_ERROR") + ok(s),
}

MESSAGE_SCENARIOS = {
    "status-missing": lambda s: headers(s, [("x", "y")], end=True),
    "status-twice": lambda s: whole(s, STATUS),
    "status-late": lambda s: headers(s, [("x", "y"), STATUS], end=True),
    "status-99": lambda s: headers(s, [(":status", "99")], end=True),
    "status-1000": lambda s: headers(s, [(":status", "1000")], end=True),
    "status-abc": lambda s: headers(s, [(":status", "abc")], end=True),
    "status-empty": lambda s: headers(s, [(":status", "")], end=True),
    "status-101": lambda s: headers(s, [(":status", "101")]),
    "pseudo-unknown": lambda s: whole(s, (":x", "y")),
    "pseudo-of-request": lambda s: whole(s, (":path", "/")),
    "pseudo-in-trailers": lambda s: head(s) + headers(s, [STATUS], end=True),
    "name-upper": lambda s: whole(s, ("X-Upper", "y")),
    "name-empty": lambda s: whole(s, ("", "y")),
    "name-space": lambda s: whole(s, ("x y", "z")),
    "name-colon": lambda s: whole(s, ("x:", "y")),
    "name-octet": lambda s: whole(s, ("x\xe9", "y")),
    "connection": lambda s: whole(s, ("connection", "close")),
    "proxy-connection": lambda s: whole(s, ("proxy-connection", "close")),
    "keep-alive": lambda s: whole(s, ("keep-alive", "timeout=5")),
    "transfer-encoding": lambda s: whole(s, ("transfer-encoding", "chunked")),
    "upgrade": lambda s: whole(s, ("upgrade", "h2c")),
    "trailers-connection": lambda s: head(s) + headers(s, [("connection", "close")], end=True),
    "value-nul": lambda s: whole(s, ("x", "a\0b")),
    "value-cr": lambda s: whole(s, ("x", "a\rb")),
    "value-lf": lambda s: whole(s, ("x", "a\nb")),
    "value-space-before": lambda s: whole(s, ("x", " a")),
    "value-tab-after": lambda s: whole(s, ("x", "a\t")),
    "value-octets": lambda s: head(s, ("x", "\xe9")) + data(s, b"ok", end=True),
    "length-more": lambda s: head(s, ("content-length", "1")) + data(s, b"ok", end=True),
    "length-less": lambda s: head(s, ("content-length", "3")) + data(s, b"ok", end=True),
    "length-less-trailers": lambda s: head(s, ("content-length", "3"))
    + data(s, b"ok")
    + headers(s, [("x", "y")], end=True),
    "length-none": lambda s: whole(s, ("content-length", "3")),
    "length-bad": lambda s: whole(s, ("content-length", "x")),
    "length-two": lambda s: whole(s, ("content-length", "0"), ("content-length", "1")),
    "content-of-204": lambda s: headers(s, [(":status", "204")]) + data(s, b"x", end=True),
    "content-of-304": lambda s: headers(s, [(":status", "304")]) + data(s, b"x", end=True),
    "content-of-head": lambda s: ok(s),
    "fields-long": lambda s: in_pieces(s, block([STATUS, *LONG])) + data(s, b"ok", end=True),
    "fields-some": lambda s: in_pieces(s, block([STATUS, *SOME])) + data(s, b"ok", end=True),
    "fields-many": lambda s: in_pieces(s, block([STATUS, *MANY])) + data(s, b"ok", end=True),
}

HPACK_SCENARIOS = {
    "hpack-index": lambda s: headers(s, block([STATUS]) + b"\xff\x64"),
    "hpack-index-0": lambda s: headers(s, block([STATUS]) + b"\x80"),
    "hpack-table-size": lambda s: headers(s, b"\x3f\xe1\xff\xff\x7f" + block([STATUS])),
    "hpack-table-size-late": lambda s: headers(s, block([STATUS]) + b"\x20"),
    "hpack-integer": lambda s: headers(s, block([STATUS]) + b"\xff" + b"\xff" * 12 + b"\x7f"),
    "hpack-string-short": lambda s: headers(s, block([STATUS]) + b"\x00\x01x\x05ab"),
    # Eight zeros are "0" and a padding that is not of ones (RFC 7541 §5.2).
    "hpack-huffman-padding": lambda s: headers(s, block([STATUS]) + b"\x00\x01x\x81\x00"),
    "hpack-huffman-end": lambda s: headers(s, block([STATUS]) + b"\x00\x01x\x84\xff\xff\xff\xff"),
    # 4 KiB stay in the table, and each further octet is the field again.
    "hpack-bomb": lambda s: headers(
        s, block([STATUS]) + indexed_literal("x", "a" * 4000) + b"\xbe" * 12_000, end=True
    ),
    "hpack-table-size-0": lambda s: headers(s, b"\x20" + block([STATUS]))
    + data(s, b"ok", end=True),
}

STATIC_SCENARIOS = {
    **SETTINGS_SCENARIOS,
    **FRAME_SCENARIOS,
    **STREAM_SCENARIOS,
    **MESSAGE_SCENARIOS,
    **HPACK_SCENARIOS,
}
