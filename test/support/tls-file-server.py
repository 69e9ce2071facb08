"""Python's own file server, as `python3 -m http.server` runs it, over TLS: PORT FOLDER CERTIFICATE."""

import functools
import http.server
import ssl
import sys

port, folder, certificate = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
