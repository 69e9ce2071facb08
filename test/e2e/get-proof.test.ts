/** How `ferry get` proves that a file is right, and how it says that it cannot. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(3 * MIB + 1)
const DIGEST = digestOf(CONTENT)

test.each(['here', 'at the server'])('ferry get --checksums takes a list %s', async (where) => {
  await using nginx = await Nginx.start()
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const list = `${'0'.repeat(64)}  other.bin\n${DIGEST} *file.bin\n`
  await nginx.put('SHA256SUMS', Buffer.from(list))
  await dir.write('SHA256SUMS', list)
  const place = where === 'here' ? 'SHA256SUMS' : nginx.url('SHA256SUMS')

  const run = await runFerry(['get', '--checksums', place, '-o', 'x.bin', nginx.url('file.bin')], {
    cwd: dir.path,
  })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(run.stdout).toContain('sha256 is right')
  expect(await dir.digest('x.bin')).toBe(DIGEST)
})

test('ferry get --checksums refuses a file that the list does not name', async () => {
  await using dir = await TempDir.create()
  await dir.write('SHA256SUMS', `${DIGEST}  other.bin\n`)

  const run = await runFerry(['get', '--checksums', 'SHA256SUMS', 'http://127.0.0.1:1/f'], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode: 2, line: 'Cannot find a checksum of "f"' })
})

test('ferry get --checksum keeps a file with another digest out of sight', async () => {
  await using nginx = await Nginx.start()
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const wrong = `sha256=${'0'.repeat(64)}`

  const run = await runFerry(['get', '--checksum', wrong, nginx.url('file.bin')], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode: 11, line: `expected sha256 ${'0'.repeat(64)}, got ${DIGEST}` })
  expect(await dir.names()).not.toContain('file.bin')
})

test.each([
  { what: 'warns of', args: [], warned: true },
  {
    what: 'with a digest says nothing of',
    args: ['--checksum', `sha256=${DIGEST}`],
    warned: false,
  },
])('ferry get $what a file that only an overlap proves', async ({ args, warned }) => {
  await using server = await FaultServer.start({
    content: CONTENT,
    etag: undefined,
    bytesPerSecond: MIB,
  })
  await using dir = await TempDir.create()
  await using first = new FerryProcess(['get', '-x', '1', server.url], { cwd: dir.path })
  await dir.whenNoted('file.bin.part.journal')
  first.kill('SIGINT')
  await first.exit
  server.options.bytesPerSecond = undefined

  const run = await runFerry(['get', ...args, server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.stdout).toContain('were here already')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(run.notes.startsWith(`Cannot be sure of ${dir.join('file.bin')}: `)).toBe(warned)
})

test('ferry get --json tells of bad pieces, which come again', async () => {
  const lengthBytes = MIB
  const pieces = [0, 1, 2, 3].map((index) =>
    digestOf(CONTENT.subarray(index * lengthBytes, (index + 1) * lengthBytes)),
  )
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: ({ index }) => (index === 0 ? { type: 'damage', offset: 5 } : undefined),
  })
  await using dir = await TempDir.create()
  await dir.write(
    'file.meta4',
    `<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="file.bin">
    <size>${CONTENT.length}</size><hash type="sha-256">${DIGEST}</hash>
    <pieces length="${lengthBytes}" type="sha-256">
    ${pieces.map((hex) => `<hash>${hex}</hash>`).join('')}</pieces>
    <url>${server.url}</url></file></metalink>`,
  )

  const run = await runFerry(['get', '--json', 'file.meta4'], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  const events = parseEvents(run.stdout)
  expect(events).toContainEqual(
    expect.objectContaining({
      event: 'bad-piece',
      item: 1,
      span: { start: 0, end: lengthBytes },
      error: expect.any(String),
    }),
  )
  expect(events.at(-1)).toMatchObject({ event: 'completed', proof: 'digest' })
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --stats draws what each connection carried', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: MIB / 2 })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-x', '2', '--stats', 'speed.svg', server.url], {
    cwd: dir.path,
  })

  expect(run.exitCode).toBe(0)
  const svg = (await dir.read('speed.svg')).toString()
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /)
  expect(svg).toMatch(/>file\.bin: [\d.]+ MiB in /)
  expect(new Set(svg.match(/>connection \d+</g)).size).toBeGreaterThan(1)
})

test('ferry get --stats says when it cannot write the figure; the file is there', async () => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--stats', 'no/speed.svg', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(15)
  expect(run.notes).toBe('ferry: Cannot write no/speed.svg: there is no such file.\n')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})
