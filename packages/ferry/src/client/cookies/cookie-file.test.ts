import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TempDir } from '../../../../../test/support/temp-dir.ts'
import { requireTool } from '../../../../../test/support/tools.ts'
import { InterceptorFixture } from '../../testing/interceptor-fixture.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import {
  formatCookieFile,
  parseCookieFile,
  readCookieFile,
  writeCookieFile,
} from './cookie-file.ts'
import type { CookieRecord } from './cookie-record.ts'
import { createCookieJar } from './create-cookie-jar.ts'

const RECORD: CookieRecord = {
  name: 'a',
  value: '1',
  domain: 'example.org',
  path: '/',
  hostOnly: true,
  secure: false,
  httpOnly: false,
}

test.each([
  ['a cookie of a host', 'example.org\tFALSE\t/\tFALSE\t0\ta\t1', [RECORD]],
  [
    'a cookie of a domain',
    '.example.org\tTRUE\t/\tFALSE\t0\ta\t1',
    [{ ...RECORD, hostOnly: false }],
  ],
  ['HttpOnly', '#HttpOnly_example.org\tFALSE\t/\tFALSE\t0\ta\t1', [{ ...RECORD, httpOnly: true }]],
  ['Secure', 'example.org\tFALSE\t/\tTRUE\t0\ta\t1', [{ ...RECORD, secure: true }]],
  ['an instant', 'example.org\tFALSE\t/\tFALSE\t9\ta\t1', [{ ...RECORD, expiresAt: 9000 }]],
  ['no value', 'example.org\tFALSE\t/\tFALSE\t0\ta', [{ ...RECORD, value: '' }]],
  ['an empty value', 'example.org\tFALSE\t/\tFALSE\t0\ta\t', [{ ...RECORD, value: '' }]],
  ['letters in any case', 'EXAMPLE.org\tfalse\t/\tFalse\t0\ta\t1', [RECORD]],
  ['the line ends of Windows', 'example.org\tFALSE\t/\tFALSE\t0\ta\t1\r\n', [RECORD]],
  ['a comment', '# example.org\tFALSE\t/\tFALSE\t0\ta\t1', []],
  ['an empty line', '', []],
  ['blanks instead of tabs', 'example.org FALSE / FALSE 0 a 1', []],
  ['too many fields', 'example.org\tFALSE\t/\tFALSE\t0\ta\t1\t2', []],
  ['a bad instant', 'example.org\tFALSE\t/\tFALSE\tsoon\ta\t1', []],
  ['a bad flag', 'example.org\tmaybe\t/\tFALSE\t0\ta\t1', []],
  ['no name', 'example.org\tFALSE\t/\tFALSE\t0\t\t1', []],
])('parseCookieFile() reads %s', (_, text, records) => {
  expect(parseCookieFile(text)).toEqual(records)
})

test('what formatCookieFile() writes, parseCookieFile() reads', () => {
  const text = fc.string({ unit: fc.constantFrom(...'aZ09%;= "\u00e4\t\n'), maxLength: 8 })
  const record = fc.record({
    name: text,
    value: text,
    domain: fc.domain(),
    path: text.map((path) => `/${path}`),
    hostOnly: fc.boolean(),
    secure: fc.boolean(),
    httpOnly: fc.boolean(),
    expiresAt: fc.nat(4_000_000_000).map((seconds) => (seconds + 1) * 1000),
  })
  fc.assert(
    fc.property(fc.array(record), (records) => {
      const writable = records.filter(
        ({ name, value, path }) => name !== '' && !/[\t\n]/.test(name + value + path),
      )
      expect(parseCookieFile(formatCookieFile(records))).toEqual(writable)
    }),
  )
})

test('writeCookieFile() writes what only the owner may read, and leaves nothing beside it', async () => {
  await using folder = await TempDir.create()
  const path = await folder.write('cookies.txt', 'old')

  await writeCookieFile(path, [RECORD])

  expect(await readCookieFile(path)).toEqual([RECORD])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await folder.names()).toEqual(['cookies.txt'])
})

test('writeCookieFile() leaves nothing behind where it cannot write', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('none')

  await expect(writeCookieFile(`${path}/cookies.txt`, [])).rejects.toThrow('ENOENT')

  expect(await folder.names()).toEqual([])
})

test('curl sends the cookies of our file, and we read what it writes', async () => {
  await using folder = await TempDir.create()
  await using server = await InterceptorFixture.start((_, response) =>
    response
      .setHeader('Set-Cookie', [
        'b=2; Path=/x; HttpOnly',
        'c=3; Max-Age=1000; Path=/',
        'a=; Max-Age=0',
      ])
      .end(),
  )
  const ours = createCookieJar()
  const url = HttpUrl.parse(server.url('/x/y'))
  await ours.setCookies(url, ['a=1; Path=/x', 'z="26"; Path=/; Max-Age=1000'])
  const path = folder.join('cookies.txt')
  await writeCookieFile(path, ours.toJSON())

  await promisify(execFile)(requireTool('curl'), ['-s', '-b', path, '-c', path, url.href])

  const theirs = createCookieJar({ cookies: await readCookieFile(path) })
  expect(server.received('cookie')).toEqual([await ours.getCookies(url)])
  expect((await theirs.getCookies(url)).split('; ').sort()).toEqual(['b=2', 'c=3', 'z="26"'])
  expect(theirs.toJSON().find(({ name }) => name === 'b')).toMatchObject({
    path: '/x',
    httpOnly: true,
    hostOnly: true,
    domain: '127.0.0.1',
  })
})
