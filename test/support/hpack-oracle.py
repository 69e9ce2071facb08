"""Python's hpack as an oracle: a line of JSON in, a line of JSON out. Texts are latin1."""

import json
import sys

# Where Debian puts modules; python3 may be another than Debian's.
sys.path.append(sys.argv[1])

import hpack  # noqa: E402

# Larger than any list of the test.
MAX_LIST_BYTES = 10_000_000

encoder = hpack.Encoder()
decoder = hpack.Decoder(max_header_list_size=MAX_LIST_BYTES)


def encode(request):
    """Takes our settings, then a list: [name, value, never indexed]."""
    for size in request["tableSizes"]:
        encoder.header_table_size = size
    fields = [
        (name.encode("latin1"), value.encode("latin1"), sensitive)
        for name, value, sensitive in request["fields"]
    ]
    block = encoder.encode(fields, huffman=request["huffman"])
    return {"block": block.hex(), "tableBytes": encoder.header_table._current_size}


def decode(request):
    """Takes a block of ours, after telling the settings that it was made under."""
    for size in request["tableSizes"]:
        decoder.max_allowed_table_size = size
    fields = decoder.decode(bytes.fromhex(request["block"]), raw=True)
    return {
        "fields": [
            [name.decode("latin1"), value.decode("latin1"), not field.indexable]
            for field in fields
            for name, value in [field]
        ],
        "tableBytes": decoder.header_table._current_size,
    }


for line in sys.stdin:
    request = json.loads(line)
    answer = encode(request) if request["type"] == "encode" else decode(request)
    print(json.dumps(answer), flush=True)
