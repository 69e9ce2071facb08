"""The Python client of IndexedCP, as it behaves on the wire.

Asks what the server has of a file, by its last segment; sends the rest, one connection for each
request; tries each chunk so many times. Prints what the server called the file, then the chunks that
were sent.

Arguments: URL of the upload, key, file, bytes of a chunk, tries.
"""

import http.client
import json
import os
import sys
import urllib.parse

AGENT = "python-requests/2.32.3"


def ask(method, url, key, content=None, fields=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    target = parts.path + ("?" + parts.query if parts.query else "")
    headers = {
        "User-Agent": AGENT,
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "Connection": "keep-alive",
        "Authorization": "Bearer " + key,
        **(fields or {}),
    }
    try:
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def received_chunks(url, key, path):
    """Anything but an answer with a list counts as nothing."""
    base = url[: url.rindex("/upload")]
    name = urllib.parse.quote(os.path.basename(path), safe="%/:=&?~#+!$,;'@()*[]")
    try:
        status, content = ask("GET", f"{base}/upload/status?filename={name}", key)
        return set(json.loads(content)["receivedChunks"]) if status == 200 else set()
    except (OSError, ValueError, KeyError):
        return set()


def upload_chunk(url, key, path, index, content, tries):
    fields = {
        "Content-Type": "application/octet-stream",
        "X-Chunk-Index": str(index),
        "X-File-Name": path,
    }
    for _ in range(tries):
        status, answer = ask("POST", url, key, content, fields)
        if status == 401:
            raise ValueError("Authentication failed: Invalid API key")
        if status == 200:
            return json.loads(answer)
    raise OSError(f"Upload failed: {status}")


def main():
    url, key, path, chunk_bytes, tries = sys.argv[1:]
    skipped = received_chunks(url, key, path)
    stored, sent = None, []
    with open(path, "rb") as file:
        index = 0
        while content := file.read(int(chunk_bytes)):
            if index not in skipped:
                answer = upload_chunk(url, key, path, index, content, int(tries))
                stored = answer["actualFilename"]
                sent.append(index)
            index += 1
    print(json.dumps({"stored": stored, "sent": sent}))


main()
