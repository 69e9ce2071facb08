/** Runs each program in examples/ as a reader would, and compares what it prints, line by line. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const FOLDER = join(import.meta.dirname, '../../examples')
const TIMEOUT_MS = 20_000

/** What each program prints. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'download.ts': [
    'named report 1.bin',
    'paused',
    'retry 1',
    'report 1.bin 2000000 digest true',
    'Download status: DONE, file.zip',
    'ALREADY_EXISTS false',
  ],
  'one-call.ts': [
    '200 true, ?page=1',
    `{"name":"file.zip"} { name: 'file.zip' }`,
    '200',
    '200',
    '{ size: 3 }',
    'application/json',
    'GET, PUT, DELETE',
    '204',
    '404 false',
    'Cannot GET …/2: 404 Not Found',
  ],
  'fetch.ts': [
    '200, redirected: true, to /new',
    'PUT /new: ferry-example, a=1',
    'enough after three lines: true',
    'not wanted any more',
    'true Cannot GET http://127.0.0.1:1/: cannot connect to 127.0.0.1:1 at 127.0.0.1: connection refused',
    'not even a connection',
  ],
  'tcp-client.ts': [
    'TcpClient(host=127.0.0.1, port=PORT) connected',
    'line: HELLO',
    'block: "lines\\r\\nhere"',
    'timeout: Cannot read a line from 127.0.0.1:PORT: not done within 50 ms',
    'line: bye, then undefined',
    'line: AGAIN',
    'connection-lost: Cannot read 11 bytes from 127.0.0.1:PORT: the peer has closed the connection',
    'left: lines',
    'line: go ahead',
    'line: SECRET, TLSv1.3, true',
    'connect-failed: Cannot connect to 127.0.0.1:PORT at 127.0.0.1: connection refused',
  ],
  'api-client.ts': ["{ id: 1, name: 'Ann' }", "{ id: 2, name: 'Ben' }"],
  'client-limits.ts': [
    '20 responses, spread over more than 150 ms: true',
    'attempt 1: 503',
    'attempt 2: 503',
    "{ url: '/flaky-endpoint' }",
    'attempt 1: 503',
    'attempt 2: 503',
    "{ url: '/flaky' }",
  ],
  'client-network.ts': [
    'info: GET http://HOST/endpoint 200',
    "{ url: '/endpoint', via: 'nobody' }",
    'info: GET http://HOST/endpoint 200',
    "{ url: '/endpoint', via: '1.1 example' }",
    'warn: GET http://HOST/endpoint failed',
    'proxy-failed Cannot GET http://HOST/endpoint: cannot connect to HOST through the proxy 127.0.0.1:1: no connection to the proxy: connection refused',
    'info: GET https://HOST/ 200',
    'TLSv1.2 { old: true }',
  ],
  'client-interceptors.ts': [
    'Making GET request to /users',
    'Got response with status 200',
    "{ url: '/users', who: 'Bearer secret' }",
    'Making GET request to /missing',
    'Got response with status 200',
    "{ url: '/instead', who: 'Bearer secret' }",
  ],
  'client-forms.ts': [
    'description=Profile picture; file: image.jpg, 100000 bytes',
    'length known: true, progress told: true',
    'file: note.txt, 5 bytes',
    'a=1; b=x; b=y',
  ],
  'client.ts': [
    'GET /v1/users?page=2&tag=a&tag=b Bearer token',
    'POST {"name":"John Doe"} value Bearer another',
    'string true',
    'PUT /v1/items/123',
    '200 application/json /v1/users',
    'Cannot GET http://127.0.0.1:PORT/v1/users/404: 404 Not Found',
    'true 2 true',
  ],
  'basic-request.ts': [
    '200 OK',
    'Content-Type: application/json',
    '{"method":"GET","url":"/get?name=ferry","agent":"ferry-example/1.0"}',
  ],
  'callbacks.ts': [
    '103: </style.css>; rel=preload',
    '200, 1000000 bytes announced',
    '1000000 bytes, paused: true',
    '1000000 bytes poured',
  ],
  'cancel.ts': [
    'request: not wanted any more',
    'request: TimeoutError',
    'upload: changed my mind',
    'upload: source closed',
    'body: seen enough',
    'ok',
    'connections: 1 idle, 0 others',
  ],
  'connect-tunnel.ts': ['200 Connection established', 'you said good morning', '403: not there'],
  'constructed-response.ts': [
    '200 OK, X-Cache: hit',
    'from the cache',
    '7 bytes passed',
    '15 bytes passed',
    '20 bytes passed',
    'first, second, third',
    'LocalProtocolError: Cannot use content with status 204: it has none by definition',
  ],
  'deadlines.ts': [
    'connect: Cannot connect to 127.0.0.1:PORT: not done within 100 ms',
    'headers: Cannot read the response to GET http://127.0.0.1:PORT/no-head: no head within 100 ms',
    'body: Cannot read on from GET http://127.0.0.1:PORT/stalls: nothing came for 100 ms',
    'total: Cannot finish GET http://127.0.0.1:PORT/drips: it took longer than 300 ms',
    'pool: Cannot send GET http://127.0.0.1:PORT/waits: no connection became free within 300 ms',
  ],
  'early-response.ts': [
    '413 too large',
    'sent it all: false',
    '202 came before the end: true',
    'going on',
    'received it all: true',
  ],
  'event-source.ts': [
    'open, from the beginning',
    'price 1: 100',
    'price 2: 101',
    'attempt 1 after 10 ms or more',
    'open, from 2',
    'price 3: 102',
    'attempt 1 after 10 ms or more',
    'the server wants no more requests: closed',
    'It depends.',
    'comment: nothing happens here',
    'TimeoutError',
    'connections in use: 0',
  ],
  'expect-continue.ts': [
    '401 who are you?; 0 bytes left here',
    '200 stored; 1000000 bytes left here',
  ],
  'file-upload.ts': ['Sent 3000000 bytes', 'Arrived whole: true', 'Sent 500000 bytes of it'],
  'http2.ts': [
    '100 responses, 1 connection',
    'the same connection: true',
    'version 2: /next',
    'version 1.1: as ever',
  ],
  'immutable-requests.ts': [
    'GET /items?page=1 on example.org, port 443',
    '  X-Trace: a',
    '  content: none',
    'POST /items on example.org, port 443',
    '  X-Trace: a, b',
    '  content: 16 bytes',
    'TypeError',
    'LocalProtocolError: Cannot send field X-Trace: its value holds a control character or one above U+00FF',
  ],
  'network-backend.ts': ['/1: orders.internal', '/2: orders.internal', 'streams opened: 1'],
  'pool-state.ts': [
    'origin active 0 idle 0 connecting 1 waiting 2',
    'origin active 1 idle 0 connecting 0 waiting 1',
    'origin active 1 idle 0 connecting 0 waiting 0',
    'origin active 0 idle 1 connecting 0 waiting 0',
    'created 1, reused 1, closed 0',
    'connection 1: 2 requests, error rate 0',
    'timings known: true, reused: false, connected for it',
    'timings known: true, reused: true, on a connection that was there',
  ],
  'proxy.ts': [
    'GET http://127.0.0.1:PLAIN/page?id=1, Basic dXNlcjpzZWNyZXQ=',
    '  200 plain, from PROXY',
    'CONNECT 127.0.0.1:TLS, Basic dXNlcjpzZWNyZXQ=',
    '  200 protected, from PROXY',
    'CONNECT 127.0.0.1:TLS, no credentials',
    '  proxy-failed, 407',
  ],
  'receive-embedded.ts': [
    'hello',
    "201 1000 [ '1.jpg' ]",
    '413 Cannot take 1001 bytes: at most 1000 are allowed',
  ],
  'receive-uploads.ts': [
    'created: photo.jpg from ann, 0 bytes',
    'progress: photo.jpg from ann, 400000 bytes',
    'goes on from 400000',
    'progress: photo.jpg from ann, 1000000 bytes',
    'completed: photo.jpg from ann, 1000000 bytes',
    'photo.jpg true',
    '401 Bearer error="invalid_token"',
  ],
  'socks5.ts': ['methods offered: 0', 'asked for files.example, port 80', '200 for files.example'],
  'stale-connection.ts': [
    'GET: 200 on connection 1',
    'GET: 200 on connection 2',
    'POST: connection-lost',
  ],
  'streaming-request.ts': [
    'Uploaded: 8192 bytes',
    'Uploaded: 13000 bytes',
    'Total uploaded: 13000 bytes',
    'Server: received 13000 bytes, chunked',
    'Total read: 13000 bytes',
  ],
  'streaming-response.ts': ['Read 300000 bytes, 100 %', 'Read three lines of an endless response'],
  'streaming-upload.ts': [
    '25 %',
    '50 %',
    '75 %',
    '100 %',
    'Server: 4194304 of 4194304 bytes',
    'LocalProtocolError: Cannot send the content: 4194304 bytes announced, 1048576 given',
  ],
  'tls.ts': [
    'pinned: 200, seen as DNS:client.example',
    '  TLSv1.3, ALPN http/1.1, resumed false',
    '  authorized true, certificate as expected true',
    'another pin: tls-failed, PIN_MISMATCH',
    'unknown authority: tls-failed, DEPTH_ZERO_SELF_SIGNED_CERT',
    'another name: tls-failed, ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  'trace.ts': [
    'in order: true',
    'send-head start, send-body start, send-head end, send-body end, wait start, wait end, read-head start, read-head end, read-body start, read-body end, close end',
    'GET http://localhost:PORT/items?… waited, not long',
  ],
  'trailers.ts': [
    'server: sha-256=:R/HVE0WMDyAzR9S2/5F+yqmpbFmND9Y86ODVhvRwclY=:',
    'verdict: equal',
    'LocalProtocolError: Cannot send field Host as a trailer: it must be known before the content',
  ],
  'unix-socket.ts': ['engine.example gives /version', 'peer is the socket: true, port undefined'],
  'upgrade.ts': [
    '101 shout/1',
    'the pool: origin active 0 idle 0 connecting 0 waiting 0',
    'welcome',
    'HELLO',
    '426 shout/1 only',
  ],
  'websocket.ts': [
    '101, subprotocol shout',
    'ping answered: true',
    'HELLO',
    '3 bytes',
    'IN PIECES',
    '4000 see you, clean: true',
    'Cannot open a WebSocket to http://server/elsewhere: status 400 Bad Request',
  ],
}

test('every program in examples/ is among those that are run', () => {
  const programs = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'))

  expect(programs.toSorted()).toEqual(Object.keys(EXPECTED).toSorted())
})

test.each(Object.entries(EXPECTED))('examples/%s prints what it promises', async (name, lines) => {
  // On the sources, so that the examples need no build here; readers run them on the built package.
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--conditions=ferry-source', join(FOLDER, name)],
    { timeout: TIMEOUT_MS },
  )

  expect(stderr).toBe('')
  expect(stdout.trimEnd().split('\n')).toEqual(lines)
})
