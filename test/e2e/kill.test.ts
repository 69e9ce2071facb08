/**
 * kill -9 at random moments: a download goes on with what it had, loses at most what came within
 * about a second, and never mixes two versions of a file.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(24 * MIB)
const DIGEST = digestOf(CONTENT)
const CONNECTIONS = 2
const LIMIT_RATE = 2 * MIB
const LANES = 5
const KILLS_PER_LANE = 4
// From before the first byte to well behind several notes in the journal.
const MIN_LIFE_MS = 100
const MAX_LIFE_MS = 3000
// The journal is written every half second; a sync on a busy disk may take three times as long again.
const MAX_LOST_SECONDS = 2
// nginx paces a response as if it had begun a second ago: this much comes at once.
const BURST_SECONDS = 1
const BYTES_PER_SECOND = CONNECTIONS * LIMIT_RATE

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What a lane of kills has seen. */
interface Lane {
  kills: number
  files: number
  /** Bytes known to have come before a kill that the next run did not have. */
  readonly lostBytes: number[]
}

/** Runs one download, killing it again and again; begins anew when one was faster than its kill. */
async function killAgainAndAgain(nginx: Nginx, path: string, random: () => number): Promise<Lane> {
  const lane: Lane = { kills: 0, files: 0, lostBytes: [] }
  await using dir = await TempDir.create()
  const args = ['get', '--json', '-x', String(CONNECTIONS), nginx.url(path)]
  let receivedBytes = 0
  while (lane.kills < KILLS_PER_LANE || lane.files === 0) {
    await using run = new FerryProcess(args, { cwd: dir.path })
    const isLast = lane.kills === KILLS_PER_LANE
    const lifeMs = MIN_LIFE_MS + random() * (MAX_LIFE_MS - MIN_LIFE_MS)
    if (!isLast) await Promise.race([pause(lifeMs, undefined, { ref: false }), run.exit])
    if (!isLast) run.kill('SIGKILL')
    const { exitCode, stdout, notes } = await run.exit
    expect(notes).toBe('')
    const counts = parseCounts(stdout)
    if (counts.resumedBytes !== undefined) {
      lane.lostBytes.push(receivedBytes - counts.resumedBytes)
      receivedBytes = 0
    }
    receivedBytes = Math.max(receivedBytes, counts.receivedBytes)
    if (exitCode === undefined) lane.kills++
    else {
      expect(exitCode).toBe(0)
      expect(await dir.digest(path)).toBe(DIGEST)
      expect(await dir.names()).toEqual([path])
      lane.files++
      receivedBytes = 0
      if (!isLast) await dir.remove(path)
    }
  }
  return lane
}

/** What a run said of the bytes that it found, and of those that it had in the end. */
function parseCounts(stdout: string): { resumedBytes: number | undefined; receivedBytes: number } {
  const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1)
  const counted = parseEvents(whole).filter(({ event }) => /progress|completed/.test(event))
  const received = counted.map(({ receivedBytes }) => Number(receivedBytes ?? 0))
  const resumed = counted.at(-1)?.['resumedBytes']
  return {
    resumedBytes: resumed === undefined ? undefined : Number(resumed),
    receivedBytes: Math.max(0, ...received),
  }
}

test('a download that is killed again and again ends whole and fetches little twice', async () => {
  const seed = Number(process.env['FERRY_SEED'] ?? Date.now() % 1_000_000)
  console.log(`kill.test.ts: FERRY_SEED=${seed}`)
  await using nginx = await Nginx.start({ limitRate: LIMIT_RATE })
  const names = Array.from({ length: LANES }, (_, index) => `file-${index}.bin`)
  for (const name of names) await nginx.put(name, CONTENT)

  const lanes = await Promise.all(
    names.map((name, index) => killAgainAndAgain(nginx, name, createRandom(seed + index))),
  )

  const requests = await nginx.requests()
  for (const [index, { kills, files, lostBytes }] of lanes.entries()) {
    const sent = requests.filter(({ uri }) => uri === `/${names[index]}`)
    const sentBytes = sent.reduce((sum, request) => sum + request.sentBytes, 0)
    expect(kills).toBe(KILLS_PER_LANE)
    // As the server has it: every byte beyond one copy of each file was sent again. A kill in the
    // first moments may lose the burst too, of which the client may not have read a byte.
    const sentAgain = sentBytes - files * CONTENT.length
    const maxSentAgain = kills * (MAX_LOST_SECONDS + BURST_SECONDS) * BYTES_PER_SECOND
    expect(sentAgain).toBeLessThanOrEqual(maxSentAgain)
    // As the runs say it, of each kill; at its end a run may be at full speed.
    for (const lost of lostBytes) {
      expect(lost).toBeLessThanOrEqual(MAX_LOST_SECONDS * BYTES_PER_SECOND)
    }
  }
}, 300_000)

/** Fetches until bytes of `before` are noted in the journal, kills the run, and puts `after` there. */
async function replaceAfterKill(
  nginx: Nginx,
  dir: TempDir,
  { before, after }: { before: Buffer; after: Buffer },
): Promise<void> {
  await nginx.put('file.bin', before)
  await using run = new FerryProcess(['get', '--json', '-x', '1', nginx.url('file.bin')], {
    cwd: dir.path,
  })
  await dir.whenNoted('file.bin.part.journal')
  run.kill('SIGKILL')
  expect(await run.exit).toMatchObject({ signal: 'SIGKILL' })
  await nginx.put('file.bin', after, { ageDays: 1 })
}

const OLD = CONTENT.subarray(0, 8 * MIB)
const REPLACEMENTS = [
  { what: 'a file of the same size', etag: true, after: randomBytes(OLD.length) },
  { what: 'a file of the same size, no ETag', etag: false, after: randomBytes(OLD.length) },
  { what: 'a longer file', etag: true, after: randomBytes(OLD.length + 1) },
  { what: 'a shorter file', etag: true, after: randomBytes(1000) },
]

test.each(REPLACEMENTS)('--on-change restart fetches $what whole', async ({ etag, after }) => {
  await using nginx = await Nginx.start({ limitRate: 5 * MIB, etag })
  await using dir = await TempDir.create()
  await replaceAfterKill(nginx, dir, { before: OLD, after })

  const args = ['get', '--json', '--on-change', 'restart', nginx.url('file.bin')]
  const run = await runFerry(args, { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.digest('file.bin')).toBe(digestOf(after))
  expect(await dir.names()).toEqual(['file.bin'])
  const events = parseEvents(run.stdout)
  expect(events.filter(({ event }) => event === 'restart')).toHaveLength(1)
  expect(events.at(-1)).toMatchObject({ resumedBytes: 0, size: after.length })
})

test.each(REPLACEMENTS)('--on-change fail keeps what it has beside $what', async (row) => {
  await using nginx = await Nginx.start({ limitRate: 5 * MIB, etag: row.etag })
  await using dir = await TempDir.create()
  await replaceAfterKill(nginx, dir, { before: OLD, after: row.after })
  const kept = await dir.digest('file.bin.part')

  const args = ['get', '--on-change', 'fail', nginx.url('file.bin')]
  const failed = await runFerry(args, { cwd: dir.path })

  expect(failed).toMatchObject({ exitCode: 10, stdout: '' })
  expect(failed.notes).toMatch(/^ferry: Cannot go on with .* is another one now, .*\. Use .*\.\n$/)
  expect(await dir.digest('file.bin.part')).toBe(kept)
  expect(await dir.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])

  // The old file is there again: what was kept is still good.
  await nginx.put('file.bin', OLD)
  const resumed = await runFerry([...args, '--json'], { cwd: dir.path })

  expect(resumed.exitCode).toBe(0)
  expect(Number(parseEvents(resumed.stdout).at(-1)?.['resumedBytes'])).toBeGreaterThan(0)
  expect(await dir.digest('file.bin')).toBe(digestOf(OLD))
})
