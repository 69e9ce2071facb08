import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkDigest, digestFile, parseChecksum } from './checksum.ts'

const HEX = 'AB'.repeat(32)

test.each([`sha256=${HEX}`, `sha-256=${HEX}`, `SHA-256=${HEX.toLowerCase()}`])(
  'parseChecksum(%s)',
  (text) => {
    expect(parseChecksum(text)).toEqual({ algorithm: 'sha256', hex: HEX.toLowerCase() })
  },
)

test.each([
  ['md5', 16],
  ['sha1', 20],
  ['sha224', 28],
  ['sha384', 48],
  ['sha512', 64],
])('parseChecksum() knows %s', (algorithm, bytes) => {
  const hex = '0f'.repeat(bytes)

  expect(parseChecksum(`${algorithm}=${hex}`)).toEqual({ algorithm, hex })
})

test.each([
  '',
  'sha256',
  'sha256=',
  `sha256=${HEX}0`,
  `sha256=${'zz'.repeat(32)}`,
  `md4=${HEX}`,
  `crc32=00000000`,
  `=${HEX}`,
  'constructor=00',
])('parseChecksum() refuses %j', (text) => {
  expect(() => parseChecksum(text)).toThrow(expect.objectContaining({ code: 'config' }))
})

test('digestFile() gives the digest of the whole file, and stops when aborted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-digest-'))
  const content = randomBytes(2_500_000)
  const path = join(folder, 'a')
  await writeFile(path, content)
  const progress: number[] = []
  const reason = new Error('enough')

  const digest = await digestFile(path, 'sha256', { onProgress: (bytes) => progress.push(bytes) })
  const aborted = digestFile(path, 'sha256', { signal: AbortSignal.abort(reason) })

  await expect(aborted).rejects.toBe(reason)
  expect(digest).toBe(createHash('sha256').update(content).digest('hex'))
  expect(progress.at(-1)).toBe(content.length)
  await rm(folder, { recursive: true })
})

test('checkDigest() accepts what was expected, and nothing else', () => {
  const expected = parseChecksum(`sha256=${HEX}`)

  checkDigest('a', expected, HEX.toLowerCase())
  expect(() => checkDigest('a', expected, '00')).toThrow(
    expect.objectContaining({ code: 'checksum-mismatch' }),
  )
})
