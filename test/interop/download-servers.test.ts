/** Downloads from real servers: over several connections, interrupted, and while files change. */
import { randomBytes } from 'node:crypto'
import { HttpClient, type RequestClient } from 'ferry/client'
import { type Download, download, type DownloadOptions } from 'ferry/download'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
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
  readonly version: string
}

const MANNERS: readonly Manner[] = [
  { name: 'plain', scheme: 'http', http2: 'off', version: '1.1' },
  { name: 'TLS', scheme: 'https', http2: 'off', version: '1.1' },
  { name: 'HTTP/2', scheme: 'https', http2: 'alpn', version: '2' },
]
// At the slow rate long enough that another connection is tried, and helps.
const SIZE = 6_000_000
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

describe.each(FILE_SERVERS)('$name', (program) => {
  let server: FileServer
  beforeAll(async () => {
    server = await program.start(site)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const manners = MANNERS.filter(({ http2 }) => http2 === 'off' || program.speaksHttp2)
  describe.each(manners)('$name', (manner) => {
    test('several connections bring the whole file', async () => {
      await using visit = await Visit.begin(program, server, manner)
      await site.put('slow/file.bin', CONTENT)

      const run = visit.start('slow/file.bin')
      const most = await mostConnections(run)

      expect(await run.result).toMatchObject({ size: SIZE, fetchedBytes: SIZE, resumedBytes: 0 })
      await visit.expectFile(CONTENT)
      if (program.limitsRate) expect(most).toBeGreaterThan(1)
      if (!program.knowsRanges) expect(most).toBe(1)
      // Over HTTP/2, streams of one connection.
      if (manner.http2 === 'alpn') expect(visit.connections).toBe(1)
      else expect(visit.connections).toBeGreaterThanOrEqual(most)
    })

    test('what an interruption has left is gone on with', async () => {
      await using visit = await Visit.begin(program, server, manner)
      await site.put('slow/file.bin', CONTENT)
      await visit.interrupt('slow/file.bin')

      const { size, resumedBytes, fetchedBytes } = await visit.start('slow/file.bin').result

      expect(size).toBe(SIZE)
      expect(resumedBytes).toBeGreaterThanOrEqual(HALF_WAY)
      expect(fetchedBytes).toBe(SIZE - resumedBytes)
      await visit.expectFile(CONTENT)
    })

    test.each([
      ['the same size', OTHER],
      ['another size', LONGER],
    ])('a file that has changed meanwhile comes anew: %s', async (_, content) => {
      await using visit = await Visit.begin(program, server, manner)
      await site.put('slow/file.bin', CONTENT)
      await visit.interrupt('slow/file.bin')
      await site.put('slow/file.bin', content)

      const result = await visit.start('slow/file.bin').result

      expect(result).toMatchObject({ size: content.length, resumedBytes: 0 })
      expect(visit.events).toContain('restart')
      await visit.expectFile(content)
    })

    test('a file that changes while it is fetched is never mixed', async () => {
      await using visit = await Visit.begin(program, server, manner)
      await site.put('slow/file.bin', CONTENT)
      const run = visit.startSlowly('slow/file.bin')
      await visit.received(run, HALF_WAY)
      await site.put('slow/file.bin', OTHER)
      run.limitBytesPerSecond = undefined

      await run.result

      await visit.expectFile(CONTENT, OTHER)
    })

    test('an empty file', async () => {
      await using visit = await Visit.begin(program, server, manner)
      await site.put('empty.bin', Buffer.alloc(0))

      expect(await visit.start('empty.bin').result).toMatchObject({ size: 0, fetchedBytes: 0 })

      await visit.expectFile(Buffer.alloc(0))
    })

    test('404 is told, and leaves nothing', async () => {
      await using visit = await Visit.begin(program, server, manner)

      await expect(visit.start('none.bin').result).rejects.toMatchObject({
        code: 'http-status',
        status: 404,
      })

      expect(await visit.names()).toEqual([])
    })
  })
})

/** A client for one test, and the folder that it downloads into. */
class Visit implements AsyncDisposable {
  readonly events: string[] = []
  readonly #program: FileServerProgram
  readonly #server: FileServer
  readonly #manner: Manner
  readonly #dir: TempDir
  readonly #backend = new CountingBackend()
  readonly #http: HttpClient
  readonly #versions = new Set<string>()

  private constructor(
    program: FileServerProgram,
    server: FileServer,
    { manner, dir }: { readonly manner: Manner; readonly dir: TempDir },
  ) {
    this.#program = program
    this.#server = server
    this.#manner = manner
    this.#dir = dir
    const { http2 } = manner
    this.#http = new HttpClient({ http2, backend: this.#backend, tls: { ca: site.ca } })
  }

  static async begin(
    program: FileServerProgram,
    server: FileServer,
    manner: Manner,
  ): Promise<Visit> {
    onTestFailed(() => console.log(`${program.name} said:\n${server.log.slice(-4000)}`))
    return new Visit(program, server, { manner, dir: await TempDir.create() })
  }

  /** Connections that were opened so far. */
  get connections(): number {
    return this.#backend.opened
  }

  names(): Promise<string[]> {
    return this.#dir.names()
  }

  start(name: string, options: DownloadOptions = {}): Download {
    const url = this.#server.url(name, this.#manner.scheme)
    return download(url, this.#dir.join('file.bin'), {
      client: this.#recordingClient(),
      maxConnections: 4,
      onEvent: ({ type }) => this.events.push(type),
      ...options,
    })
  }

  /** Where the server does not, the download limits its rate itself. */
  startSlowly(name: string, options: DownloadOptions = {}): Download {
    const limitBytesPerSecond = this.#program.limitsRate ? undefined : SLOW_BYTES_PER_SECOND
    return this.start(name, { limitBytesPerSecond, ...options })
  }

  /** Stops a download half-way and leaves what it has. */
  async interrupt(name: string): Promise<void> {
    const stopping = new AbortController()
    const run = this.startSlowly(name, { signal: stopping.signal })
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
    expect([...this.#versions]).toEqual([this.#manner.version])
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
