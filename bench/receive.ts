/**
 * Receiving: what Ferry's server costs and how fast it is, beside servers that promise less. Each
 * server is a process on one core, the client on the other; servers take turns, and each run is
 * compared with the base's of the same round.
 */
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { requireTool } from '../test/support/tools.ts'
import { benchManyUploads, benchUnfinishedUploads } from './receive-many.ts'
import {
  cpuRatio,
  formatServer,
  type ReceiveServer,
  runColumns,
  type ServerKind,
  type ServerRun,
  speedRatio,
  startReceiveServer,
} from './receive-process.ts'
import { formatTable } from './statistics.ts'
import {
  type BenchOptions,
  createDiskFolder,
  createFolder,
  GIB,
  measure,
  measureClient,
  MIB,
  NODE,
  progress,
  removeFolder,
  rotate,
  touchMemory,
  writeRandomFile,
} from './support.ts'

/** A transfer that several servers are given. */
interface Contest {
  readonly title: string
  readonly kinds: readonly ServerKind[]
  readonly base: ServerKind
  readonly folder: () => string
  readonly send: (server: ReceiveServer, round: number) => Promise<ServerRun>
  /** @throws {Error} when a server's folder does not hold what was sent */
  readonly check: (folder: string) => Promise<void>
  /** What is to come out of it for the first server. */
  readonly goals: { readonly cpuAtMost?: number; readonly speedAtLeast: number }
}

const ROUNDS = 7
const QUICK_ROUNDS = 2
const CHUNKS = 512
const CHUNKS_CLIENT = fileURLToPath(new URL('./receive-chunks-client.ts', import.meta.url))

/** Measures receiving; resolves with tables. */
export async function benchReceive(options: BenchOptions): Promise<string> {
  const source = createFolder(4 * GIB)
  const file = join(source, 'file.bin')
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const sections = [
    await runContest(patchContest(file, 'memory'), options),
    await runContest(patchContest(file, 'disk'), options),
  ]
  removeFolder(source)
  sections.push(
    await runContest(chunksContest('memory'), options),
    await runContest(chunksContest('disk'), options),
    await benchManyUploads(options),
    await benchUnfinishedUploads(options),
  )
  return sections.join('\n')
}

function patchContest(file: string, place: 'memory' | 'disk'): Contest {
  return {
    title: `Receiving one PATCH of 1 GiB into files ${place === 'memory' ? 'in memory' : 'on disk'}`,
    kinds: ['ferry', 'ferry, ack: written', '@tus/server'],
    base: '@tus/server',
    folder: place === 'memory' ? () => createFolder(2 * GIB) : createDiskFolder,
    send: (server) => sendPatch(server, file),
    async check(folder) {
      const names = await namesIn(folder)
      const [name = ''] = names.filter((found) => !found.endsWith('.json'))
      await measure(['cmp', file, join(folder, name)])
    },
    goals: { cpuAtMost: 0.5, speedAtLeast: 2 },
  }
}

function chunksContest(place: 'memory' | 'disk'): Contest {
  return {
    title: `Receiving ${CHUNKS} chunks of IndexedCP of 1 MiB over one connection into files ${place === 'memory' ? 'in memory' : 'on disk'}`,
    kinds: ['ferry', 'ferry, ack: written', 'append per chunk'],
    base: 'append per chunk',
    folder: place === 'memory' ? () => createFolder(GIB) : createDiskFolder,
    send: sendChunks,
    async check(folder) {
      const sizes = await measure(['du', '-b', ...(await pathsIn(folder))])
      if (Number.parseInt(sizes.stdout) !== CHUNKS * MIB) {
        throw new Error(`Expected ${CHUNKS} MiB, got ${sizes.stdout}`)
      }
    },
    goals: { speedAtLeast: 1.5 },
  }
}

async function runContest(contest: Contest, { quick }: BenchOptions): Promise<string> {
  const { kinds, base, title } = contest
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const runs = new Map<ServerKind, ServerRun[]>(kinds.map((kind) => [kind, []]))
  await using stack = new AsyncDisposableStack()
  const servers = new Map<ServerKind, { server: ReceiveServer; folder: string }>()
  for (const kind of kinds) {
    const folder = contest.folder()
    stack.defer(() => removeFolder(folder))
    servers.set(kind, { server: stack.use(await startReceiveServer(kind, folder)), folder })
  }
  for (let round = 0; round <= rounds; round++) {
    progress(`${title}: round ${round} of ${rounds}`)
    for (const kind of rotate(kinds, round)) {
      const { server, folder } = servers.get(kind) as { server: ReceiveServer; folder: string }
      const run = await contest.send(server, round)
      // The first round warms up, and shows that every server keeps the very bytes.
      if (round === 0) await contest.check(folder)
      else runs.get(kind)?.push(run)
      for (const path of await pathsIn(folder)) rmSync(path)
    }
  }
  const baseRuns = runs.get(base) ?? []
  const rows = [...runs].map(([kind, own]) =>
    formatServer(kind, own, baseRuns, servers.get(kind)?.server.peakRssBytes() ?? Number.NaN),
  )
  return `${formatTable(`${title}, ${rounds} rounds`, runColumns(base), rows)}\n${formatGoals(contest, runs)}\n`
}

function formatGoals(
  { goals, kinds, base }: Contest,
  runs: ReadonlyMap<ServerKind, readonly ServerRun[]>,
): string {
  const [kind] = kinds as [ServerKind]
  const [own, others] = [runs.get(kind) ?? [], runs.get(base) ?? []]
  const { cpuAtMost, speedAtLeast } = goals
  const cpu =
    cpuAtMost === undefined
      ? ''
      : `CPU ≤ ${cpuAtMost.toFixed(2)} × ${base}: ${cpuRatio(own, others).toFixed(2)}; `
  return `Goals, ${kind}: ${cpu}MB/s ≥ ${speedAtLeast.toFixed(2)} × ${base}: ${speedRatio(own, others).toFixed(2)}.`
}

async function sendPatch(server: ReceiveServer, file: string): Promise<ServerRun> {
  const version = { 'Tus-Resumable': '1.0.0' }
  const created = await fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { ...version, 'Upload-Length': String(GIB) },
  })
  const upload = new URL(created.headers.get('Location') as string, `${server.url}/files`)
  const fields = {
    ...version,
    'Upload-Offset': '0',
    'Content-Type': 'application/offset+octet-stream',
    // Nobody is to wait for permission.
    Expect: '',
  }
  touchMemory(join(dirname(file), 'touched'), GIB)
  const before = server.cpuMs()
  const { stdout } = await measureClient([
    requireTool('curl'),
    ...['-s', '-w', '%{time_total} %{http_code}', '-X', 'PATCH', '-T', file],
    ...Object.entries(fields).flatMap(([name, value]) => ['-H', `${name}: ${value}`.trimEnd()]),
    upload.href,
  ])
  const [seconds, status] = stdout.split(' ').map(Number)
  if (status !== 204) throw new Error(`Cannot measure: the answer was ${stdout}`)
  return { cpuMs: server.cpuMs() - before, wallMs: (seconds as number) * 1000, bytes: GIB }
}

async function sendChunks(server: ReceiveServer, round: number): Promise<ServerRun> {
  const { port } = new URL(server.url)
  const before = server.cpuMs()
  const { stdout } = await measureClient([
    ...[NODE, CHUNKS_CLIENT, port, String(CHUNKS), `${round}.bin`],
  ] as [string, ...string[]])
  const { wallMs } = JSON.parse(stdout) as { wallMs: number }
  return { cpuMs: server.cpuMs() - before, wallMs, bytes: CHUNKS * MIB }
}

/** What a server has finished; its own records begin with a dot. */
async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.'))
}

async function pathsIn(folder: string): Promise<string[]> {
  return (await namesIn(folder)).map((name) => join(folder, name))
}
