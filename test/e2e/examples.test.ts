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
  'basic-request.ts': [
    '200 OK',
    'Content-Type: application/json',
    '{"method":"GET","url":"/get?name=ferry","agent":"ferry-example/1.0"}',
  ],
  'constructed-response.ts': [
    '200 OK, X-Cache: hit',
    'from the cache',
    '7 bytes passed',
    '15 bytes passed',
    '20 bytes passed',
    'first, second, third',
    'LocalProtocolError: Cannot use content with status 204: it has none by definition',
  ],
  'file-upload.ts': ['Sent 3000000 bytes', 'Arrived whole: true', 'Sent 500000 bytes of it'],
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
  'trailers.ts': [
    'server: sha-256=:R/HVE0WMDyAzR9S2/5F+yqmpbFmND9Y86ODVhvRwclY=:',
    'verdict: equal',
    'LocalProtocolError: Cannot send field Host as a trailer: it must be known before the content',
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
    ['--conditions=source', join(FOLDER, name)],
    { timeout: TIMEOUT_MS },
  )

  expect(stderr).toBe('')
  expect(stdout.trimEnd().split('\n')).toEqual(lines)
})
