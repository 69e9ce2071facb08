/** Many uploads: a thousand that come at once, and ten thousand that a server finds when it starts. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { UploadFolder } from 'ferry/receive'
import {
  formatMebibytes,
  type ReceiveServer,
  type ServerKind,
  startReceiveServer,
} from './receive-process.ts'
import { formatSpread, formatTable } from './statistics.ts'
import {
  type BenchOptions,
  createFolder,
  GIB,
  MIB,
  progress,
  removeFolder,
  rotate,
} from './support.ts'

/** One round of many uploads at once. */
interface ManyRun {
  readonly idleRssBytes: number
  readonly halfwayRssBytes: number
  readonly peakRssBytes: number
  readonly wallMs: number
  readonly cpuMs: number
}

const KINDS: readonly ServerKind[] = ['ferry', '@tus/server']
const ROUNDS = 3
const QUICK_ROUNDS = 1
const UPLOADS_AT_ONCE = 1000
const UNFINISHED_UPLOADS = 10_000
/** As many as the pool of threads and the sockets bear without waiting for long. */
const LANES = 64
/** What has been sent is with the server then. */
const REST_MS = 1000

/** Measures memory with 1,000 uploads under way; resolves with a table. */
export async function benchManyUploads({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const runs = new Map<ServerKind, ManyRun[]>(KINDS.map((kind) => [kind, []]))
  for (let round = 0; round < rounds; round++) {
    progress(`${UPLOADS_AT_ONCE} uploads at once: round ${round + 1} of ${rounds}`)
    for (const kind of rotate(KINDS, round)) runs.get(kind)?.push(await runMany(kind))
  }
  const rows = [...runs].map(([kind, own]) => [
    kind,
    ...(['idleRssBytes', 'halfwayRssBytes', 'peakRssBytes'] as const).map((part) =>
      formatMebibytes(own.map((run) => run[part])),
    ),
    formatSpread(own.map(({ wallMs }) => wallMs)),
    formatSpread(own.map(({ cpuMs }) => cpuMs)),
  ])
  return formatTable(
    `${UPLOADS_AT_ONCE} uploads of 1 MiB at once, into files in memory, ${rounds} rounds`,
    [
      'server',
      'RSS MiB before',
      'RSS MiB halfway',
      'peak RSS MiB',
      'wall ms, min / median / max',
      'server CPU ms, min / median / max',
    ],
    rows,
  )
}

/** Measures a start with 10,000 unfinished uploads; resolves with a table. */
export async function benchUnfinishedUploads({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const [empty, full] = [createFolder(), createFolder(GIB)]
  progress(`making ${UNFINISHED_UPLOADS} unfinished uploads`)
  await makeUnfinished(full)
  const starts = [
    ['none', empty],
    [String(UNFINISHED_UPLOADS), full],
  ] as const
  const rows = []
  for (const [name, folder] of starts) {
    const wallMs: number[] = []
    const rssBytes: number[] = []
    for (let round = 0; round < rounds; round++) {
      const startedAt = performance.now()
      await using server = await startReceiveServer('ferry', folder)
      wallMs.push(performance.now() - startedAt)
      rssBytes.push(server.rssBytes())
    }
    rows.push([name, formatSpread(wallMs), formatMebibytes(rssBytes)])
  }
  removeFolder(empty)
  removeFolder(full)
  return formatTable(
    `Start of ferry's server, files in memory, ${rounds} rounds`,
    ['unfinished uploads', 'ms until it listens, min / median / max', 'RSS MiB'],
    rows,
  )
}

async function runMany(kind: ServerKind): Promise<ManyRun> {
  const folder = createFolder(2 * GIB)
  try {
    await using server = await startReceiveServer(kind, folder)
    const idleRssBytes = server.rssBytes()
    const uploads = await Promise.all(
      Array.from({ length: UPLOADS_AT_ONCE }, () => HalfUpload.begin(server)),
    )
    await wait(REST_MS)
    const halfwayRssBytes = server.rssBytes()
    const restedAt = performance.now()
    await Promise.all(uploads.map((upload) => upload.end()))
    const wallMs = performance.now() - restedAt
    const { peakRssBytes, cpuMs } = { peakRssBytes: server.peakRssBytes(), cpuMs: server.cpuMs() }
    return { idleRssBytes, halfwayRssBytes, peakRssBytes, wallMs, cpuMs }
  } finally {
    removeFolder(folder)
  }
}

/** An upload that is created with its first half, by tus, and ended later. */
class HalfUpload {
  static readonly #half = Buffer.alloc(MIB / 2, 7)
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Resolves when half of it has been sent. */
  static async begin({ url }: ReceiveServer): Promise<HalfUpload> {
    const { port, host } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      `POST /files HTTP/1.1\r\nHost: ${host}\r\nTus-Resumable: 1.0.0\r\nUpload-Length: ${MIB}\r\n` +
        `Content-Length: ${MIB}\r\nContent-Type: application/offset+octet-stream\r\n\r\n`,
    )
    await new Promise<void>((resolve) => socket.write(this.#half, () => resolve()))
    return new HalfUpload(socket)
  }

  /** Sends the rest and waits for the answer. */
  async end(): Promise<void> {
    this.#socket.write(HalfUpload.#half)
    const [answer] = (await once(this.#socket, 'data')) as [Buffer]
    this.#socket.destroy()
    const head = answer.toString('latin1')
    if (!head.startsWith('HTTP/1.1 201')) throw new Error(`An upload was answered: ${head}`)
  }
}

/** Each has its first KiB, and waits for the second. */
async function makeUnfinished(folder: string): Promise<void> {
  await using uploads = await UploadFolder.open(folder, {
    limits: { maxUploads: UNFINISHED_UPLOADS },
  })
  const { core } = uploads
  const lane = async (first: number): Promise<void> => {
    for (let index = first; index < UNFINISHED_UPLOADS; index += LANES) {
      const { id } = await core.create({
        length: 2048,
        name: `file-${index}.bin`,
        metadata: { filename: `file-${index}.bin`, filetype: 'application/octet-stream' },
      })
      await core.append(id, 0, Readable.from([Buffer.alloc(1024, index)]))
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, first) => lane(first)))
}
