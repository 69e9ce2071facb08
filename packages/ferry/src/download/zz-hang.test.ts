/** Several places that should have one file. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import type { Fault, FaultServerOptions } from '../testing/fault-server-answer.ts'
import { FaultServer } from '../testing/fault-server.ts'
import type { DownloadEvent, DownloadOptions, DownloadResult } from './download.ts'

const SIZE = 2_400_000
const CONTENT = randomBytes(SIZE)
/** Of the same size; differs everywhere. */
const OTHER = randomBytes(SIZE)
// Slow enough that more connections are wanted.
const BYTES_PER_SECOND = 2_400_000
const CHECKSUM = { algorithm: 'sha256', hex: createHash('sha256').update(CONTENT).digest('hex') }
const DIGEST_TAG = `"${createHash('md5').update(CONTENT).digest('hex')}"`

/** Two servers and a folder. */
class Mirrored implements AsyncDisposable {
  readonly fixture: DownloadFixture
  readonly mirror: FaultServer
  readonly events: DownloadEvent[] = []

  private constructor(fixture: DownloadFixture, mirror: FaultServer) {
    this.fixture = fixture
    this.mirror = mirror
  }

  static async start(
    primary: Partial<FaultServerOptions> = {},
    mirror: Partial<FaultServerOptions> = {},
  ): Promise<Mirrored> {
    const common = { content: CONTENT, bytesPerSecond: BYTES_PER_SECOND }
    return new Mirrored(
      await DownloadFixture.start({ ...common, ...primary }, { bodyTimeoutMs: 500 }),
      await FaultServer.start({ ...common, etag: '"of the mirror"', ...mirror }),
    )
  }

  run(options: DownloadOptions = {}): Promise<DownloadResult> {
    return this.fixture.start({
      mirrors: [this.mirror.url],
      maxConnections: 4,
      onEvent: (event) => this.events.push(event),
      ...options,
    }).result
  }

  /** Types of the events, without those of the state. */
  get turns(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== 'state')
  }

  /** The first place answers nobody any more. */
  killPrimary(): void {
    this.fixture.server.options.fault = () => ({ type: 'drop' })
    this.fixture.server.disconnect()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]()
    await this.mirror[Symbol.asyncDispose]()
  }
}

test.concurrent.each(Array.from({length:40},(_,i)=>i))('%i download() fails once every place has failed, and goes on later', async (n) => {
  await using mirrored = await Mirrored.start()
  const { fixture, mirror } = mirrored

  const running = mirrored.run({ checksum: CHECKSUM, maxRetries: 2 })
  const w = setTimeout(() => console.log('HANG', n, mirrored.events.slice(-12).map(e => e.type+((e as any).attempt??'')+((e as any).error?.code ?? '')+((e as any).delayMs??'')).join(' '), fixture.server.requests.length, mirror.requests.length, fixture.server.requests.slice(-5), mirror.requests.slice(-5)), 8000)
  await fixture.server.whenSent(SIZE / 4)
  mirrored.killPrimary()
  mirror.options.fault = () => ({ type: 'drop' })
  mirror.disconnect()
  await expect(running).rejects.toMatchObject({ code: 'connection-lost' })

  delete mirror.options.fault
  const { resumedBytes, fetchedBytes } = await mirrored.run({ checksum: CHECKSUM })
  clearTimeout(w)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
  expect(resumedBytes + fetchedBytes).toBeLessThan(SIZE * 1.3)
})
