import { randomBytes, createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import { FaultServer } from '../testing/fault-server.ts'
import { download } from './download.ts'
import { systemClock } from '../clock.ts'
import { setTimeout as pause } from 'node:timers/promises'

test('65: number of requests', async () => {
  await using fixture = await DownloadFixture.start({ content: randomBytes(12_000_000), bytesPerSecond: 1_000_000 })
  await pause(1600)
  const r = await fixture.start({ maxConnections: 8, clock: systemClock }).result
  console.log('65', fixture.server.requests.length, fixture.server.connectionCount, r.fetchedBytes, r.elapsedMs, fixture.server.requests.map(q => `${q.range} ${q.sentBytes}`).join(' | '))
})
test('pieces + chunked', async () => {
  const content = randomBytes(1_000_000)
  await using fixture = await DownloadFixture.start({ content, chunked: true })
  const r = await fixture.start({ pieces: { algorithm: 'sha256', lengthBytes: 500_000, hexes: ['00', '11'] } }).result.catch(e => e)
  console.log('chunked pieces', r.proof ?? r)
})
test('size + chunked', async () => {
  const content = randomBytes(1_000_000)
  await using fixture = await DownloadFixture.start({ content, chunked: true })
  const r = await fixture.start({ size: 5 }).result.catch(e => e)
  console.log('chunked size', r.proof ?? r)
})
test('mirror digest', async () => {
  const content = randomBytes(6_000_000)
  await using fixture = await DownloadFixture.start({ content, bytesPerSecond: 3_000_000 })
  await using mirror = await FaultServer.start({ content: randomBytes(6_000_000), reprDigest: true, bytesPerSecond: 3_000_000 })
  const r = await fixture.start({ mirrors: [mirror.url], onEvent: (e) => console.log(e.type) }).result.catch(e => e)
  console.log('mirror digest', r.proof ?? r, mirror.requests.length)
})
test('pieces+checksum large', async () => {
  const content = randomBytes(20_000_000)
  const L = 1_000_000
  const hexes = Array.from({length: 20}, (_, i) => createHash('sha256').update(content.subarray(i*L, i*L+L)).digest('hex'))
  let bad = true
  await using fixture = await DownloadFixture.start({ content, fault: () => { const b = bad; bad = false; return b ? { type: 'damage', offset: 18_500_000 } : undefined } , bytesPerSecond: 20_000_000})
  const r = await fixture.start({ maxConnections: 1, pieces: { algorithm: 'sha256', lengthBytes: L, hexes }, checksum: { algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') }, onEvent: (e) => console.log(e.type) }).result.catch(e => e)
  console.log('pieces+checksum', r.proof ?? r)
})
test('opening stalls', async () => {
  const content = randomBytes(2_000_000)
  await using fixture = await DownloadFixture.start({ content, fault: ({ index }) => index === 0 ? { type: 'stall', afterBytes: 100_000 } : undefined })
  const folder = await mkdtemp(join(tmpdir(), 'x-'))
  const t = performance.now()
  const clock = { now: () => performance.now() * 25, after: hastyClock.after }
  const run = download(fixture.server.url, folder + '/', { client: fixture.client, clock })
  const r = await Promise.race([run.result, pause(5000).then(() => 'HANG')])
  console.log('opening', typeof r === 'string' ? r : r.proof, performance.now() - t, fixture.server.requests.length)
  await run.cancel()
})
