/**
 * Replies of servers, good and bad, and what Ferry makes of each. Where RFC 9110 or 9112 leaves a
 * choice, Ferry takes what cannot be read in two ways, and refuses the rest.
 *
 * Outcomes are in the words of http-clients.ts, one for each request, joined by ` | `.
 */
import type { Reply } from '../support/raw-server.ts'

/** A row of the table. */
export interface RawReplyRow {
  readonly name: string
  /** @defaultValue GET */
  readonly method?: string
  readonly content?: string
  /** For the requests in the order of their arrival; the last one for all that follow. */
  readonly replies: readonly Reply[]
  /** How many requests the client sends, one after another. @defaultValue 1 */
  readonly requests?: number
  readonly ferry: string
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const GOOD = `${OK}Content-Length: 2\r\n\r\nok`
const NEXT: Reply = { bytes: `${OK}Content-Length: 4\r\n\r\nnext` }
const CLOSE: Reply = { bytes: '', end: true }
const FORGED = `${OK}Content-Length: 6\r\n\r\nforged`
const REFUSED = 'remote-protocol'
const ACCEPTED = '200 "ok"'
const LOST = 'connection-lost'

function refused(name: string, bytes: string): RawReplyRow {
  return { name, replies: [{ bytes }], ferry: REFUSED }
}

function accepted(name: string, bytes: string): RawReplyRow {
  return { name, replies: [{ bytes }], ferry: ACCEPTED }
}

/** The connection ends after the bytes. */
function ended(name: string, bytes: string, ferry: string): RawReplyRow {
  return { name, replies: [{ bytes, end: true }], ferry }
}

/** A chunked body that is not one. */
function badChunk(name: string, body: string): RawReplyRow {
  return { name, replies: [{ bytes: CHUNKED + body }], ferry: `200, then ${REFUSED}` }
}

/** Two requests; the second must not get what came with the answer to the first. */
function followed(name: string, bytes: string, ferry: string, method = 'GET'): RawReplyRow {
  return { name, method, replies: [{ bytes }, NEXT], requests: 2, ferry }
}

const FRAMING: readonly RawReplyRow[] = [
  accepted('Content-Length', GOOD),
  accepted('chunked', `${CHUNKED}2\r\nok\r\n0\r\n\r\n`),
  accepted(
    '`Chunked`, whatever the case',
    `${OK}Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  ended('neither: up to the end of the connection', `${OK}\r\nok`, ACCEPTED),
  ended('HTTP/1.0 up to the end of the connection', 'HTTP/1.0 200 OK\r\n\r\nok', ACCEPTED),
  {
    name: 'trailers',
    replies: [{ bytes: `${CHUNKED}2\r\nok\r\n0\r\nX-Sum: a\r\n\r\n` }],
    ferry: '200 "ok" {"X-Sum":"a"}',
  },
  refused('two different Content-Length', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`),
  refused('two equal Content-Length', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`),
  refused('Content-Length `2, 2`', `${OK}Content-Length: 2, 2\r\n\r\nok`),
  refused('Content-Length `+2`', `${OK}Content-Length: +2\r\n\r\nok`),
  refused('Content-Length `-2`', `${OK}Content-Length: -2\r\n\r\nok`),
  refused('Content-Length `0x2`', `${OK}Content-Length: 0x2\r\n\r\nok`),
  refused('Content-Length of 2^64', `${OK}Content-Length: 18446744073709551616\r\n\r\nok`),
  refused('empty Content-Length', `${OK}Content-Length: \r\n\r\nok`),
  refused(
    'Content-Length and chunked',
    `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  refused('Transfer-Encoding: identity', `${OK}Transfer-Encoding: identity\r\n\r\nok`),
  refused('Transfer-Encoding: gzip', `${OK}Transfer-Encoding: gzip\r\n\r\nok`),
  refused(
    'Transfer-Encoding: chunked, identity',
    `${OK}Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  refused(
    'Transfer-Encoding: chunked, chunked',
    `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  refused(
    'Transfer-Encoding: chunked, two times',
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  ),
  refused(
    'Transfer-Encoding in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  ),
]

const CHUNKS: readonly RawReplyRow[] = [
  accepted('chunk extension', `${CHUNKED}2;a=b\r\nok\r\n0\r\n\r\n`),
  accepted('chunk size with leading zeros', `${CHUNKED}0002\r\nok\r\n000\r\n\r\n`),
  badChunk('chunk size `0x2`', '0x2\r\nok\r\n0\r\n\r\n'),
  badChunk('chunk size `+2`', '+2\r\nok\r\n0\r\n\r\n'),
  badChunk('chunk size `-2`', '-2\r\nok\r\n0\r\n\r\n'),
  badChunk('chunk size of 2^64', '10000000000000000\r\nok\r\n0\r\n\r\n'),
  badChunk('chunk size of 2^64 and 2, which wraps to 2', '10000000000000002\r\nok\r\n0\r\n\r\n'),
  badChunk('no chunk size', '\r\nok\r\n0\r\n\r\n'),
  badChunk('chunk size that ends in LF', '2\nok\r\n0\r\n\r\n'),
  badChunk('chunk that is longer than its size', '2\r\nokay\r\n0\r\n\r\n'),
  badChunk('LF in a chunk extension', '2;a=b\nok\r\n0\r\n\r\n'),
]

const HEADS: readonly RawReplyRow[] = [
  accepted(
    'no reason phrase, nor the space before it',
    'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok',
  ),
  accepted('a value beyond ASCII', `${OK}X-Name: \xe4\xff\r\nContent-Length: 2\r\n\r\nok`),
  refused('lines that end in LF alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
  refused('one line that ends in LF alone', `${OK}X-Name: a\nContent-Length: 2\r\n\r\nok`),
  refused('folded field (obs-fold)', `${OK}X-Name: a\r\n b\r\nContent-Length: 2\r\n\r\nok`),
  refused('space before the first field', `${OK} X-Name: a\r\nContent-Length: 2\r\n\r\nok`),
  refused('space before the colon', `${OK}Content-Length : 2\r\n\r\nok`),
  refused('space in a field name', `${OK}X Name: a\r\nContent-Length: 2\r\n\r\nok`),
  refused('empty field name', `${OK}: a\r\nContent-Length: 2\r\n\r\nok`),
  refused('field without a colon', `${OK}X-Name\r\nContent-Length: 2\r\n\r\nok`),
  refused('NUL in a value', `${OK}X-Name: a\0b\r\nContent-Length: 2\r\n\r\nok`),
  refused('lone CR in a value', `${OK}X-Name: a\rb\r\nContent-Length: 2\r\n\r\nok`),
  refused('status 099', 'HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok'),
  refused('status 1000', 'HTTP/1.1 1000 High\r\nContent-Length: 2\r\n\r\nok'),
  refused('status 20', 'HTTP/1.1 20 Short\r\nContent-Length: 2\r\n\r\nok'),
  refused('HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  refused('ICY instead of HTTP', 'ICY 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  refused('no status line (HTTP/0.9)', 'hello, this is content\r\n\r\n'),
  refused('a TLS alert', '\x15\x03\x01\x00\x02\x02\x46'),
  refused(
    'a head of 1 MiB',
    `${OK}X-Name: ${'a'.repeat(1_048_576)}\r\nContent-Length: 2\r\n\r\nok`,
  ),
  refused('10 000 fields', `${OK}${'X: a\r\n'.repeat(10_000)}Content-Length: 2\r\n\r\nok`),
]

const INFORMATION: readonly RawReplyRow[] = [
  accepted('100 that was not asked for', `HTTP/1.1 100 Continue\r\n\r\n${GOOD}`),
  accepted('103', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${GOOD}`),
  accepted(
    '100, 102 and 103',
    `HTTP/1.1 100 A\r\n\r\nHTTP/1.1 102 B\r\n\r\nHTTP/1.1 103 C\r\n\r\n${GOOD}`,
  ),
  refused('100 without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(10_000)),
  refused(
    '101 that was not asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
  ),
]

const ENDS: readonly RawReplyRow[] = [
  ended('closed without a byte', '', LOST),
  ended('closed within the head', `${OK}Content-Len`, LOST),
  ended(
    'closed before Content-Length is reached',
    `${OK}Content-Length: 5\r\n\r\nok`,
    `200, then ${LOST}`,
  ),
  ended('closed within a chunk', `${CHUNKED}5\r\nok`, `200, then ${LOST}`),
  ended('closed without the last chunk', `${CHUNKED}2\r\nok\r\n`, `200, then ${LOST}`),
  ended(
    'closed within the trailers',
    `${CHUNKED}2\r\nok\r\n0\r\nX-Sum: a\r\n`,
    `200, then ${LOST}`,
  ),
]

const REUSE: readonly RawReplyRow[] = [
  followed('nothing more', GOOD, '200 "ok" | 200 "next"'),
  followed('bytes after the content', `${GOOD}surplus`, '200 "ok" | 200 "next"'),
  followed('a whole response after the content', GOOD + FORGED, '200 "ok" | 200 "next"'),
  followed(
    'a whole response after the last chunk',
    `${CHUNKED}2\r\nok\r\n0\r\n\r\n${FORGED}`,
    '200 "ok" | 200 "next"',
  ),
  followed('HEAD, with content', GOOD, '200 "" | 200 ""', 'HEAD'),
  followed(
    '204 with Content-Length',
    'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n',
    '204 "" | 200 "next"',
  ),
  followed(
    '204 with content',
    'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok',
    '204 "" | 200 "next"',
  ),
  followed(
    '204 with chunks',
    'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    '204 "" | 200 "next"',
  ),
  followed(
    '304 with Content-Length',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n',
    '304 "" | 200 "next"',
  ),
  {
    name: 'GET: the reused connection is closed without a reply',
    replies: [{ bytes: GOOD }, CLOSE, NEXT],
    requests: 2,
    ferry: '200 "ok" | 200 "next"',
  },
  {
    name: 'POST: the reused connection is closed without a reply',
    method: 'POST',
    content: 'hello',
    replies: [{ bytes: GOOD }, CLOSE, NEXT],
    requests: 2,
    ferry: `200 "ok" | ${LOST}`,
  },
  {
    name: 'GET: the reused connection is closed within the head',
    replies: [{ bytes: GOOD }, { bytes: OK, end: true }, NEXT],
    requests: 2,
    ferry: `200 "ok" | ${LOST}`,
  },
]

/** The sections of the table, in the order of the document. */
export const RAW_REPLIES: readonly {
  readonly title: string
  readonly rows: readonly RawReplyRow[]
}[] = [
  { title: 'How long the content is', rows: FRAMING },
  { title: 'Chunks', rows: CHUNKS },
  { title: 'Heads', rows: HEADS },
  { title: 'Informational responses', rows: INFORMATION },
  { title: 'Connections that end', rows: ENDS },
  { title: 'What comes with an answer, and the next request', rows: REUSE },
]
