/** `ferry verify`: what is right, what is not, and where. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const PIECE_BYTES = 100_000
const CONTENT = randomBytes(3 * PIECE_BYTES + 1)
const DIGEST = digestOf(CONTENT)
const DAMAGED = Buffer.from(CONTENT)
DAMAGED.writeUInt8(DAMAGED.readUInt8(PIECE_BYTES) ^ 1, PIECE_BYTES)

/** A folder with files that are right and ones that are not, and what says so. */
let dir: TempDir

beforeEach(async () => {
  dir = await TempDir.create()
  await dir.write('good.bin', CONTENT)
  await dir.write('bad.bin', DAMAGED)
  await dir.write('short.bin', CONTENT.subarray(1))
  await dir.write('SHA256SUMS', `${DIGEST}  good.bin\n${DIGEST}  bad.bin\n${DIGEST}  gone.bin\n`)
  await dir.write('file.meta4', metalink(true))
  await dir.write('pieces.meta4', metalink(false))
  return () => dir[Symbol.asyncDispose]()
})

function metalink(hasDigest: boolean): string {
  const pieces = [0, 1, 2, 3].map((index) =>
    digestOf(CONTENT.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES)),
  )
  return `<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="good.bin">
    <size>${CONTENT.length}</size>${hasDigest ? `<hash type="sha-256">${DIGEST}</hash>` : ''}
    <pieces length="${PIECE_BYTES}" type="sha-256">
    ${pieces.map((hex) => `<hash>${hex}</hash>`).join('')}</pieces></file></metalink>`
}

test.each([
  { what: '--checksum', args: ['--checksum', `sha256:${DIGEST}`, 'good.bin'], line: 'sha256 is' },
  { what: '--checksums', args: ['--checksums', 'SHA256SUMS', './good.bin'], line: 'sha256 is' },
  { what: '--metalink', args: ['--metalink', 'file.meta4', 'good.bin'], line: 'sha256 is' },
  {
    what: '--metalink with pieces alone',
    args: ['--metalink', 'pieces.meta4'],
    line: 'all 4 pieces are',
  },
])('ferry verify $what finds a file right', async ({ args, line }) => {
  const run = await runFerry(['verify', ...args], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, stderr: '' })
  expect(run.stdout).toMatch(/^(\.\/)?good\.bin: [^\n]+\n$/)
  expect(run.stdout).toContain(`good.bin: ${line} right, 292.97 KiB`)
})

test.each([
  {
    what: 'another digest',
    args: ['--checksum', `sha256=${DIGEST}`, 'bad.bin'],
    exitCode: 11,
    line: `Cannot accept bad.bin: expected sha256 ${DIGEST}, got ${digestOf(DAMAGED)}`,
  },
  {
    what: 'a bad piece',
    args: ['--metalink', 'file.meta4', 'bad.bin'],
    exitCode: 11,
    line: 'Cannot accept bad.bin: 1 of 4 pieces are wrong, bytes 100000-199999',
  },
  {
    what: 'a bad piece, without a digest of the whole',
    args: ['--metalink', 'pieces.meta4', 'bad.bin'],
    exitCode: 11,
    line: '1 of 4 pieces are wrong',
  },
  {
    what: 'another size',
    args: ['--metalink', 'file.meta4', 'short.bin'],
    exitCode: 12,
    line: 'Cannot accept short.bin: expected 300001 bytes, got 300000',
  },
  {
    what: 'no file',
    args: ['--checksum', `sha256=${DIGEST}`, 'absent'],
    exitCode: 15,
    line: 'Cannot read absent: there is no such file',
  },
  {
    what: 'a folder',
    args: ['--checksum', `sha256=${DIGEST}`, '.'],
    exitCode: 15,
    line: 'Cannot read .: it is a folder',
  },
  {
    what: 'nothing to go by',
    args: ['good.bin'],
    exitCode: 2,
    line: 'Cannot verify without a digest: expected --checksum, --checksums or --metalink',
  },
  {
    what: 'one digest for two files',
    args: ['--checksum', `sha256=${DIGEST}`, 'good.bin', 'bad.bin'],
    exitCode: 2,
    line: 'Cannot use --checksum with 2 files',
  },
  {
    what: 'a file that is not in the list',
    args: ['--checksums', 'SHA256SUMS', 'short.bin'],
    exitCode: 2,
    line: 'Cannot find a checksum of "short.bin"',
  },
  {
    what: 'a list that is none',
    args: ['--checksums', 'file.meta4'],
    exitCode: 2,
    line: 'Cannot verify by file.meta4: it names no file',
  },
])('ferry verify tells of $what with exit code $exitCode', async ({ args, exitCode, line }) => {
  const run = await runFerry(['verify', ...args], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode, stdout: '' })
  expect(run.stderr).toMatch(/^ferry: Cannot [^\n]+\.\n$/)
  expect(run.stderr).toContain(line)
})

test('ferry verify checks every file of a list, and tells of each', async () => {
  const run = await runFerry(['verify', '--checksums', 'SHA256SUMS'], { cwd: dir.path })

  expect(run.exitCode).toBe(11)
  expect(run.stdout).toBe('good.bin: sha256 is right, 292.97 KiB\n')
  expect(run.stderr.split('\n')).toEqual([
    expect.stringContaining('Cannot accept bad.bin'),
    expect.stringContaining('Cannot read gone.bin'),
    '',
  ])
})

test('ferry verify --json prints a value for each file', async () => {
  const args = ['--json', '--metalink', 'file.meta4', 'good.bin', 'good.bin']

  const good = await runFerry(['verify', ...args], { cwd: dir.path })
  const bad = await runFerry(['verify', ...args.slice(0, 3), 'bad.bin'], { cwd: dir.path })

  const verified = {
    event: 'verified',
    path: 'good.bin',
    size: CONTENT.length,
    checksum: { algorithm: 'sha256', hex: DIGEST },
  }
  expect(parseEvents(good.stdout)).toEqual([verified, verified])
  expect(parseEvents(bad.stdout)).toEqual([
    {
      event: 'failed',
      path: 'bad.bin',
      code: 'checksum-mismatch',
      exitCode: 11,
      message: expect.stringContaining('1 of 4 pieces are wrong'),
      detail: { algorithm: 'sha256', bad: [{ start: PIECE_BYTES, end: 2 * PIECE_BYTES }] },
    },
  ])
  expect(good.stderr + bad.stderr).toBe('')
})

test('ferry verify --quiet prints nothing but errors', async () => {
  const run = await runFerry(['verify', '-q', '--checksums', 'SHA256SUMS', 'good.bin'], {
    cwd: dir.path,
  })

  expect(run).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
})
