import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { algorithmOfList, findChecksum, parseChecksumList } from './checksum-list.ts'

const A = 'a1'.repeat(32)
const B = 'b2'.repeat(32)
const A_BASE64 = Buffer.from(A, 'hex').toString('base64')
const sha256 = (hex: string): { algorithm: string; hex: string } => ({ algorithm: 'sha256', hex })
const entry = (name: string | undefined, hex = A): unknown => ({ name, checksum: sha256(hex) })

// Names that the tools must escape, quote or leave alone; none but the last holds a newline.
const NAMES = [
  'plain.iso',
  'with space',
  ' space before',
  'a (1) = b',
  '*star',
  'täst.bin',
  'a\\b',
  '#comment',
  'two\nlines',
]
const [NEWLINE] = NAMES.slice(-1)

test.each<[command: string, flags: readonly string[], algorithm: string]>([
  ['sha256sum', [], 'sha256'],
  ['sha256sum', ['--binary'], 'sha256'],
  ['sha256sum', ['--tag'], 'sha256'],
  ['sha512sum', [], 'sha512'],
  ['md5sum', ['--tag'], 'md5'],
  ['b2sum', [], 'blake2b512'],
  ['b2sum', ['--tag'], 'blake2b512'],
  ['shasum', ['-a', '1'], 'sha1'],
  ['shasum', ['-a', '256', '--tag'], 'sha256'],
  ['shasum', ['-a', '512256', '--tag'], 'sha512-256'],
  ['openssl', ['dgst', '-sha256'], 'sha256'],
  ['openssl', ['dgst', '-sha3-256'], 'sha3-256'],
  ['openssl', ['dgst', '-blake2s256'], 'blake2s256'],
  ['openssl', ['dgst', '-r', '-sha1'], 'sha1'],
])('reads what %s %j writes', async (command, flags, algorithm) => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-list-'))
  // openssl writes names as they are, so that one with a newline could be two entries.
  const names = command === 'openssl' ? NAMES.filter((name) => name !== NEWLINE) : NAMES
  for (const name of names) await writeFile(join(folder.path, name), `content of ${name}`)
  const text = execFileSync(command, [...flags, ...names], { cwd: folder.path, encoding: 'utf8' })

  const entries = parseChecksumList(text, { algorithm: algorithmOfList(`${command}s`) })

  expect(entries.map(({ name }) => name)).toEqual(names)
  for (const name of names) {
    const hex = createHash(algorithm).update(`content of ${name}`).digest('hex')
    expect(findChecksum(entries, name)).toEqual({ algorithm, hex })
  }
})

// Written by gpg 2.2; something else follows the signature.
const SIGNED = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# a list
${A}  a.iso
- - ${B}  not-a-line
${B} *b.iso
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQSjf4V+JXifYAJHbhju+hHGhhYR4wUCawHzJQAKCRDu+hHGhhYR
4wH1AP9M2hi8SqO/2g8d1rF4f8z7Wx4s1jII7NMt3QiB0yOeyAEAhXoWTbXfY4YD
y+NEm6LDNVsc4U8yfnhU0i8ANK60DQ0=
=OXBR
-----END PGP SIGNATURE-----
${A}  b.iso
`

test.each<[name: string, text: string, entries: readonly unknown[]]>([
  ['GNU', `${A}  a\n${B} *b\n`, [entry('a'), entry('b', B)]],
  ['capitals', `${A.toUpperCase()}  a`, [entry('a')]],
  ['CRLF and a byte order mark', `\u{feff}${A}  a\r\n${B}  b\r\n`, [entry('a'), entry('b', B)]],
  ['one space, a tab', `${A} a\n${B}\tb`, [entry('a'), entry('b', B)]],
  ['escaped names', `\\${A}  a\\nb\\\\c\\rd`, [entry('a\nb\\c\rd')]],
  ['a backslash that escapes nothing', `${A}  a\\nb`, [entry('a\\nb')]],
  ['BSD', `SHA256 (a) = ${A}\nSHA256 (b c) = ${B}`, [entry('a'), entry('b c', B)]],
  ['BSD in base64', `SHA256 (a) = ${A_BASE64}`, [entry('a')]],
  ['BSD, escaped', `\\SHA256 (a\\nb) = ${A}`, [entry('a\nb')]],
  ['openssl', `SHA2-256(a)= ${A}`, [entry('a')]],
  [
    'a line separator in a name',
    `${A}  a\u2028b\nSHA256 (a\u2028b) = ${A}`,
    [entry('a\u2028b'), entry('a\u2028b')],
  ],
  ['a digest alone', `${A}\n`, [entry(undefined)]],
  ['a digest alone, with blanks', `${A}  \r\n`, [entry(undefined)]],
  ['comments and empty lines', `# Fedora: 12 bytes\n\n; x\nSHA256 (a) = ${A}\n`, [entry('a')]],
  ['unknown algorithms', `RMD160 (a) = ${'00'.repeat(20)}\nSIZE (a) = 12\n`, []],
  ['a digest cut short', `${A.slice(2)}  a\nSHA256 (a) = ${A.slice(2)}`, []],
  ['a digest too long', `${A}00  a\nSHA256 (a) = ${A}00`, []],
  ['a web page', '<html><p>404 (Not Found) = no such file</p></html>', []],
  ['signed: only what the signature covers', SIGNED, [entry('a.iso'), entry('b.iso', B)]],
  ['signed, and cut off', SIGNED.slice(0, 200), []],
  ['nothing', '', []],
])('parseChecksumList(): %s', (_name, text, entries) => {
  expect(parseChecksumList(text)).toEqual(entries)
})

test('the algorithm of the list counts for digests without a label', () => {
  const entries = parseChecksumList(`${A}  a\nSHA256 (b) = ${A}\n${'00'.repeat(20)}  c`, {
    algorithm: 'blake3',
  })

  expect(entries.map(({ checksum }) => checksum.algorithm)).toEqual(['blake3', 'sha256'])
})

test.each([
  ['SHA512SUMS', 'sha512'],
  ['md5sums.txt', 'md5'],
  ['B2SUMS', 'blake2b512'],
  ['b3sums', 'blake3'],
  ['file-sha1.iso.sha256', 'sha256'],
  ['file.iso.sha256sum', 'sha256'],
  ['CHECKSUM.SHA512-FreeBSD-15.0-RELEASE-amd64', 'sha512'],
  ['checksums.txt', undefined],
  ['', undefined],
])('algorithmOfList(%j)', (name, algorithm) => {
  expect(algorithmOfList(name)).toBe(algorithm)
})

test('findChecksum() prefers the very name to the same one in a folder', () => {
  const entries = parseChecksumList(`${B}  old/a\n${A}  ./a\n${B}  dir/b\n${B} *dir\\c\n`)

  expect(findChecksum(entries, 'a')).toEqual(sha256(A))
  expect(findChecksum(entries, 'b')).toEqual(sha256(B))
  expect(findChecksum(entries, 'c')).toEqual(sha256(B))
})

test('findChecksum() takes the strongest digest of a file', () => {
  const entries = parseChecksumList(`MD5 (a) = ${'00'.repeat(16)}\nSHA256 (a) = ${A}`)

  expect(findChecksum(entries, 'a')).toEqual(sha256(A))
})

test('findChecksum() takes a digest that stands alone for any file', () => {
  expect(findChecksum(parseChecksumList(A), 'whatever')).toEqual(sha256(A))
})

test.each([
  ['no entry', `${A}  b`, 'the list has 1 entries, none of that name'],
  ['an entry whose name only ends alike', `${A}  ba`, 'none of that name'],
  ['an empty list', '', 'the list has 0 entries'],
  ['two digests of one name', `${A}  a\n${B}  a`, 'are expected'],
  ['two digests in two folders', `${A}  x/a\n${B}  y/a`, 'are expected'],
  ['two digests that stand alone', `${A}\n${B}`, 'are expected'],
])('findChecksum() refuses %s', (_name, text, message) => {
  const entries = parseChecksumList(text)

  expect(() => findChecksum(entries, 'a')).toThrow(
    expect.objectContaining({ code: 'config', message: expect.stringContaining(message) }),
  )
})

test('every name that GNU can write comes back', () => {
  const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.trim() !== '')
  const escape = (text: string): string =>
    text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')

  fc.assert(
    fc.property(name, (text) => {
      const written = escape(text)
      const mark = written === text ? '' : '\\'
      const list = `${mark}${A}  ${written}\n${mark}SHA256 (${written}) = ${A}\n`

      expect(parseChecksumList(list)).toEqual([entry(text), entry(text)])
    }),
  )
})
