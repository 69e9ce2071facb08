/** Downloads from real servers: over several connections, interrupted, and while files change. */
import { randomBytes } from 'node:crypto'
import { HttpClient, type RequestClient } from 'ferry/client'
import { type Download, download, type DownloadOptions, HostLimits } from 'ferry/download'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { CountingBackend } from '../support/counting-backend.ts'
import { FILE_SERVERS, type FileServer, type FileServerProgram } from '../support/file-servers.ts'
import { FileSite, SLOW_BYTES_PER_SECOND } from '../support/file-servers-site.ts'
import type { Scheme } from '../support/origin-server.ts'
import { TempDir } from '../support/temp-dir.ts'

/** How a server is spoken to. */
interface Manner {
  readonly name: string
  readonly scheme: Scheme
  readonly http2: 'off' | 'alpn'
}

const MANNERS: readonly Manner[] = [
  { name: 'plain', scheme: 'http', http2: 'off' },
  { name: 'TLS', scheme: 'https', http2: 'off' },
  { name: 'HTTP/2', scheme: 'https', http2: 'alpn' },
]
// At the slow rate long enough that another connection is tried, and helps.
const SIZE = 12_000_000
const CONTENT = randomBytes(SIZE)
const OTHER = randomBytes(SIZE)
const LONGER = randomBytes(SIZE + 1_000_000)
/** Where a download is interrupted. */
const HALF_WAY = 2_000_000

let site: FileSite
beforeAll(async () => {
  site = await FileSite.create()
})
afterAll(() => site[Symbol.asyncDispose]())

// They mostly wait for servers that are slow on purpose.
describe.concurrent.each(FILE_SERVERS)('$name', (program) => {
  let server: FileServer
  beforeAll(async () => {
    server = await program.start(site)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const manners = MANNERS.filter(({ http2 }) => http2 === 'off' || program.speaksHttp2)
  describe.each(manners)('$name', (manner) => {
    test('as many connections as help bring the whole file', async (context) => {
      await using visit = await Visit.begin(context, { program, server, manner })
      await visit.put(CONTENT)

      const run = visit.start()
      const most = await mostConnections(run)

      expect(await run.result).toMatchObject({ size: SIZE, fetchedBytes: SIZE, resumedBytes: 0 })
      await visit.expectFile(CONTENT)
      if (program.limitsRate) expect(most).toBeGreaterThan(1)
      if (!program.knowsRanges) expect(most).toBe(1)
      // Over HTTP/2, streams of one connection.
      if (manner.http2 === 'alpn') expect(visit.connections).toBe(1)
      else expect(visit.connections).toBeGreaterThanOrEqual(most)
    })

    test('what an interruption has left is gone on with', async (context) => {
      await using visit = await Visit.begin(context, { program, server, manner })
      await visit.put(CONTENT)
      await visit.interrupt()

      const { size, resumedBytes, fetchedBytes } = await visit.start().result

      expect(size).toBe(SIZE)
      expect(resumedBytes).toBeGreaterThanOrEqual(HALF_WAY)
      expect(fetchedBytes).toBe(SIZE - resumedBytes)
      await visit.expectFile(CONTENT)
    })

    test.for([
      ['the same size', OTHER],
      ['another size', LONGER],
    ] as const)(
      'a file that has changed meanwhile comes anew: %s',
      async ([, content], context) => {
        await using visit = await Visit.begin(context, { program, server, manner })
        await visit.put(CONTENT)
        await visit.interrupt()
        await visit.put(content)

        const result = await visit.start().result

        expect(result).toMatchObject({ size: content.length, resumedBytes: 0 })
        expect(visit.events).toContain('restart')
        await visit.expectFile(content)
      },
    )

    test('a file that changes while it is fetched is never mixed', async (context) => {
      await using visit = await Visit.begin(context, { program, server, manner })
      await visit.put(CONTENT)
      const run = visit.startSlowly()
      await visit.received(run, HALF_WAY)
      await visit.put(OTHER)
      run.limitBytesPerSecond = undefined

      expect(await run.result).toMatchObject({ outcome: 'fetched', size: SIZE })

      await visit.expectFile(CONTENT, OTHER)
    })

    test('an empty file', async (context) => {
      await using visit = await Visit.begin(context, { program, server, manner })
      await visit.put(Buffer.alloc(0))

      expect(await visit.start().result).toMatchObject({ size: 0, fetchedBytes: 0 })

      await visit.expectFile(Buffer.alloc(0))
    })

    test('404 is told, and leaves nothing', async (context) => {
      await using visit = await Visit.begin(context, { program, server, manner })

      await expect(visit.start().result).rejects.toMatchObject({
        code: 'http-status',
        status: 404,
      })

      expect(await visit.names()).toEqual([])
    })
  })
})

/** A server, and how it is spoken to. */
interface Peer {
  readonly program: FileServerProgram
  readonly server: FileServer
  readonly manner: Manner
}

/** One test's file at the server, its client, and the folder that it downloads into. */
class Visit implements AsyncDisposable {
  readonly events: string[] = []
  readonly #peer: Peer
  readonly #dir: TempDir
  /** The file's name at the server. */
  readonly #name: string
  readonly #backend = new CountingBackend()
  readonly #http: HttpClient
  readonly #versions = new Set<string>()

  private constructor(peer: Peer, dir: TempDir) {
    this.#peer = peer
    this.#dir = dir
    this.#name = `slow/${dir.name}.bin`
    const { http2 } = peer.manner
    this.#http = new HttpClient({ http2, backend: this.#backend, tls: { ca: site.ca } })
  }

  static async begin({ onTestFailed }: TestContext, peer: Peer): Promise<Visit> {
    const { program, server } = peer
    onTestFailed(() => console.log(`${program.name} said:\n${server.log.slice(-4000)}`))
    return new Visit(peer, await TempDir.create())
  }

  /** Puts the file there, or another one in its place. */
  put(content: Buffer): Promise<void> {
    return site.put(this.#name, content)
  }

  /** Connections that were opened so far. */
  get connections(): number {
    return this.#backend.opened
  }

  names(): Promise<string[]> {
    return this.#dir.names()
  }

  start(options: DownloadOptions = {}): Download {
    const { server, manner } = this.#peer
    return download(server.url(this.#name, manner.scheme), this.#dir.join('file.bin'), {
      client: this.#recordingClient(),
      maxConnections: 4,
      hosts: new HostLimits(),
      onEvent: ({ type }) => this.events.push(type),
      ...options,
    })
  }

  /** Where the server does not, the download limits its rate itself. */
  startSlowly(options: DownloadOptions = {}): Download {
    const limitBytesPerSecond = this.#peer.program.limitsRate ? undefined : SLOW_BYTES_PER_SECOND
    return this.start({ limitBytesPerSecond, ...options })
  }

  /** Stops a download half-way and leaves what it has. */
  async interrupt(): Promise<void> {
    const stopping = new AbortController()
    const run = this.startSlowly({ signal: stopping.signal })
    await this.received(run, HALF_WAY)
    stopping.abort(new Error('enough'))
    await expect(run.result).rejects.toThrow('enough')
    expect(await this.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])
  }

  async received(run: Download, bytes: number): Promise<void> {
    await expect
      .poll(() => run.progress().receivedBytes, { interval: 5, timeout: 10_000 })
      .toBeGreaterThanOrEqual(bytes)
  }

  /** Expects one of the contents, byte for byte, and nothing beside the file. */
  async expectFile(...contents: readonly Buffer[]): Promise<void> {
    expect(await this.names()).toEqual(['file.bin'])
    const file = await this.#dir.read('file.bin')
    expect(contents.some((content) => content.equals(file))).toBe(true)
    const { manner, program } = this.#peer
    const version = manner.http2 === 'alpn' ? '2' : program.version
    expect([...this.#versions]).toEqual([version])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.close()
    await this.#dir[Symbol.asyncDispose]()
  }

  /** The client, noting in which version of HTTP it is answered. */
  #recordingClient(): RequestClient {
    return {
      send: async (request, options) => {
        const response = await this.#http.send(request, options)
        this.#versions.add(response.version)
        return response
      },
    }
  }
}

/** The most connections that were receiving at once. */
async function mostConnections(run: Download): Promise<number> {
  let most = 0
  for (;;) {
    const { state, connections } = run.progress()
    most = Math.max(most, connections.filter((one) => one.state === 'receiving').length)
    if (state !== 'running' && state !== 'queued') return most
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
