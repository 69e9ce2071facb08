/** Our sending side with our receiving side, by each protocol, when something goes wrong. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { hashKey, KeyRing } from '../../packages/ferry/src/receive/index.ts'
import type { UploadOptions, UploadProtocolName } from '../../packages/ferry/src/upload/index.ts'
import { piecesOf, SendingSite } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'

const CONTENT = randomBytes(3_000_000)
const DIGEST = digestOf(CONTENT)
const PROTOCOLS: readonly UploadProtocolName[] = ['indexedcp', 'tus', 'ietf']
// Slow enough for something to happen on the way; tests lift it when it has.
const SLOW: UploadOptions = { limitBytesPerSecond: 1_000_000 }

async function expectDelivered(site: SendingSite): Promise<void> {
  expect(await site.dir.digest('a.bin')).toBe(DIGEST)
  expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
}

test.each(PROTOCOLS)('upload() by %s goes on after a broken connection', async (protocol) => {
  await using site = await SendingSite.open()
  const running = site.send(await site.source.write('a.bin', CONTENT), protocol, SLOW)
  await site.progress()
  site.proxy.cut()
  running.limitBytesPerSecond = undefined

  await running.result

  expect(site.eventTypes).toContain('retry')
  await expectDelivered(site)
  // By IndexedCP there are no offsets to tell.
  if (protocol !== 'indexedcp') expect(site.proxy.offsets.at(-1)).toBeGreaterThan(0)
})

test.each(PROTOCOLS)('upload() by %s of a stream survives broken connections', async (protocol) => {
  await using site = await SendingSite.open()
  for (const afterBytes of [200_000, 700_000, 50_000]) {
    site.proxy.faults.push({ afterBytes, lose: 'request' })
  }

  const options = { name: 'a.bin', chunkBytes: 400_000, parallel: 1 }
  await site.send(piecesOf(CONTENT, 130_000), protocol, options).result

  expect(site.eventTypes.filter((type) => type === 'retry').length).toBeGreaterThanOrEqual(3)
  await expectDelivered(site)
})

test.each(PROTOCOLS)('upload() by %s doubles nothing when an answer is lost', async (protocol) => {
  await using site = await SendingSite.open()
  // Each connection that has carried something loses the next answer.
  for (let count = 0; count < 4; count++) {
    site.proxy.faults.push({ afterBytes: 500_000, lose: 'answer' })
  }

  await site.send(CONTENT, protocol, { name: 'a.bin' }).result

  expect(site.eventTypes).toContain('retry')
  await expectDelivered(site)
})

test.each(PROTOCOLS)('upload() by %s makes one file of what has no bytes', async (protocol) => {
  await using site = await SendingSite.open()
  for (const method of ['POST', 'P', 'P']) {
    site.proxy.faults.push({ afterBytes: 1, lose: 'answer', method })
  }

  await site.send(Buffer.alloc(0), protocol, { name: 'a.bin' }).result

  expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
})

test.each(PROTOCOLS)('upload() by %s waits while the server is restarted', async (protocol) => {
  await using site = await SendingSite.open()
  const running = site.send(await site.source.write('a.bin', CONTENT), protocol, {
    ...SLOW,
    // Waiting for a server that is not there costs no tries.
    maxRetries: 1,
    maxRetryDelayMs: 20,
  })
  await site.progress()

  await site.restart(async () => {
    const retries = (): number => site.events.filter(({ type }) => type === 'retry').length
    await expect.poll(retries).toBeGreaterThan(4)
  })
  running.limitBytesPerSecond = undefined
  await running.result

  await expectDelivered(site)
})

test.each(PROTOCOLS)(
  'upload() by %s goes on after a server that takes nothing',
  async (protocol) => {
    await using site = await SendingSite.open()
    site.proxy.faults.push({ afterBytes: 500_000, lose: 'stall' })

    const { result } = site.send(CONTENT, protocol, {
      name: 'a.bin',
      stallTimeoutMs: 3000,
      answerTimeoutMs: 3000,
      parallel: 1,
    })
    await result

    expect(site.events).toContainEqual(
      expect.objectContaining({ type: 'retry', reason: 'timeout' }),
    )
    await expectDelivered(site)
  },
)

test.each(PROTOCOLS)('upload() by %s asks for credentials again', async (protocol) => {
  const keys = KeyRing.of('first-key', 'me')
  await using site = await SendingSite.open({ keys })
  const asked: boolean[] = []
  const running = site.send(await site.source.write('a.bin', CONTENT), protocol, {
    ...SLOW,
    chunkBytes: 300_000,
    credentials: async ({ refused }) => {
      await Promise.resolve()
      asked.push(refused)
      return { Authorization: `Bearer ${refused ? 'second-key' : 'first-key'}` }
    },
  })
  await site.progress()

  keys.replace([{ sha256: hashKey('second-key'), owner: 'me' }])
  running.limitBytesPerSecond = undefined
  const { transmittedBytes } = await running.result

  expect(asked).toEqual([false, true])
  expect(site.eventTypes).toContain('credentials')
  // Nothing was begun anew: only what was on its way was sent twice.
  expect(transmittedBytes).toBeLessThan(CONTENT.length + 5 * 300_000)
  await expectDelivered(site)
})

test.each(PROTOCOLS)('upload() by %s tells of credentials that stay refused', async (protocol) => {
  await using site = await SendingSite.open({ keys: KeyRing.of('a-key') })
  let asked = 0

  const { result } = site.send(CONTENT, protocol, {
    name: 'a.bin',
    credentials: () => {
      asked++
      return { Authorization: 'Bearer wrong' }
    },
  })

  await expect(result).rejects.toMatchObject({ code: 'http-status', status: 401 })
  expect(asked).toBe(2)
})

test.each(PROTOCOLS)('upload() by %s never mixes two versions of a file', async (protocol) => {
  await using site = await SendingSite.open()
  const path = await site.source.write('a.bin', CONTENT)
  const running = site.send(path, protocol, SLOW)
  await site.progress()

  await site.source.write('a.bin', randomBytes(CONTENT.length))
  running.limitBytesPerSecond = undefined

  await expect(running.result).rejects.toMatchObject({ code: 'source-changed' })
  expect(await site.dir.names()).toEqual(['.ferry'])
})

test.each(PROTOCOLS)('upload() by %s begins anew when the server has lost it', async (protocol) => {
  await using site = await SendingSite.open()
  const running = site.send(await site.source.write('a.bin', CONTENT), protocol, {
    ...SLOW,
    chunkBytes: 500_000,
    parallel: 1,
  })
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)

  for (const { id } of [...site.server.core.list()]) await site.server.core.terminate(id)
  running.limitBytesPerSecond = undefined
  await running.result

  if (protocol !== 'indexedcp') expect(site.eventTypes).toContain('restart')
  await expectDelivered(site)
})

test('upload() fails where the server was never reached', async () => {
  await using site = await SendingSite.open()
  await site.proxy.goDown()

  const { result } = site.send(CONTENT, 'tus', { name: 'a.bin', maxRetries: 2 })

  await expect(result).rejects.toMatchObject({ code: 'connect-failed' })
  expect(site.eventTypes).toEqual(['protocol', 'retry', 'retry'])
})
