"""Uploads a file with Debian's python3-tuspy, each piece with its checksum.

Arguments: the folder of Debian's modules, which another python3 would not find; the endpoint; the
file; bytes of a piece; where to stop before a second uploader goes on with the URL alone.
"""

import sys

folder, endpoint, path, chunk_size, stop_at = sys.argv[1:]
sys.path.append(folder)
from tusclient import client  # noqa: E402

tus = client.TusClient(endpoint)
settings = {"chunk_size": int(chunk_size), "upload_checksum": True}
first = tus.uploader(path, metadata={"filename": "by-tuspy.bin"}, **settings)
first.upload(stop_at=int(stop_at))
second = tus.uploader(path, url=first.url, **settings)
print(second.offset)
second.upload()
