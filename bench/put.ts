/**
 * Sending one large file without an outbox: each client a whole process from spawning to its exit, on
 * one core, the server on the other. Clients take turns, and each run is compared with that of
 * `curl -T` to the same server in the same round.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireTool } from '../test/support/tools.ts'
import { type ClientRun, formatRuns } from './client-runs.ts'
import { startNodeServer } from './node-server.ts'
import type { PutWay } from './put-client.ts'
import { startReceiveServer } from './receive-process.ts'
import {
  type BenchOptions,
  createDiskFolder,
  createFolder,
  FERRY,
  GIB,
  measure,
  measureClient,
  NODE,
  onServerCore,
  progress,
  removeFolder,
  rotate,
  touchMemory,
  writeRandomFile,
} from './support.ts'

/** A server that all clients send to. */
interface Sink extends AsyncDisposable {
  /** By the client's way; `curl -T` and `ferry put` included. */
  readonly urlFor: (client: string) => string
  /** @throws {Error} when it keeps files, and the one that was sent is not there as it was */
  readonly check: (file: string) => Promise<void>
  readonly clear: () => void
}

const ROUNDS = 7
const QUICK_ROUNDS = 3
const GOAL_RATIO = 1.2
// What the server keeps, and the cache of it.
const TOUCHED_BYTES = 3 * GIB
const BASE = 'curl -T'
const LIBRARY: readonly PutWay[] = ['tus', 'ietf', 'indexedcp']
const COMMAND = 'ferry put --no-buffer'
const CLIENTS = [...LIBRARY, COMMAND, BASE, 'tus-js-client']
const SINK = fileURLToPath(new URL('./put-sink.ts', import.meta.url))
const CLIENT = fileURLToPath(new URL('./put-client.ts', import.meta.url))

const SINKS: Readonly<Record<string, () => Promise<Sink>>> = {
  'a server that throws it away': startSwallowing,
  "ferry's server, ack: durable, files in memory": () => startKeeping(createFolder(2 * GIB)),
  "ferry's server, ack: durable, files on disk": () => startKeeping(createDiskFolder()),
}

/** Measures sending a file of 1 GiB; resolves with a table for each server. */
export async function benchPut(options: BenchOptions): Promise<string> {
  const folder = createFolder(6 * GIB)
  const file = join(folder, 'file.bin')
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const sections: string[] = []
  for (const [name, start] of Object.entries(SINKS)) {
    await using sink = await start()
    sections.push(await benchSink(name, { sink, file, rounds: roundsOf(options) }))
  }
  removeFolder(folder)
  return sections.join('\n')
}

function roundsOf({ quick }: BenchOptions): number {
  return quick ? QUICK_ROUNDS : ROUNDS
}

async function benchSink(
  name: string,
  { sink, file, rounds }: { readonly sink: Sink; readonly file: string; readonly rounds: number },
): Promise<string> {
  const runs = new Map<string, ClientRun[]>(CLIENTS.map((client) => [client, []]))
  for (let round = 0; round <= rounds; round++) {
    progress(`put to ${name}: round ${round} of ${rounds}`)
    for (const client of rotate(CLIENTS, round)) {
      touchMemory(`${file}.touched`, TOUCHED_BYTES)
      const run = await send(client, sink.urlFor(client), file)
      // The first round warms up, and shows that every client brings the very file.
      if (round === 0) await sink.check(file)
      else runs.get(client)?.push(run)
      sink.clear()
    }
  }
  const goals = [...LIBRARY, COMMAND].map((client) => ({ client, atMost: GOAL_RATIO }))
  return formatRuns({ title: `1 GiB to ${name}, ${rounds} rounds`, base: BASE, goals }, runs)
}

async function send(client: string, url: string, file: string): Promise<ClientRun> {
  if (client === COMMAND) {
    const options = ['--no-buffer', '--quiet', '--protocol', 'tus']
    const measurement = await measureClient([...FERRY, 'put', ...options, file, url])
    return { ...measurement, ownMs: measurement.wallMs }
  }
  if (client !== BASE) {
    const measurement = await measureClient([NODE, CLIENT, client, url, file])
    return { ...measurement, ...(JSON.parse(measurement.stdout) as { ownMs: number }) }
  }
  // A file in one request, by the IETF's draft; nobody is to wait for permission.
  const fields = ['-H', 'Upload-Complete: ?1', '-H', 'Expect:']
  const format = ['-o', '/dev/null', '-w', '%{http_code}']
  const measurement = await measureClient([
    requireTool('curl'),
    ...['-sS', ...fields, ...format, '-T', file, url],
  ])
  if (!/^20[01]$/.test(measurement.stdout)) {
    throw new Error(`Cannot measure: the answer was ${measurement.stdout}`)
  }
  return { ...measurement, ownMs: measurement.wallMs }
}

async function startSwallowing(): Promise<Sink> {
  const server = await startNodeServer(onServerCore([NODE, SINK]))
  return {
    urlFor: (client) => `http://127.0.0.1:${server.ports[0]}${pathFor(client)}`,
    check: () => Promise.resolve(),
    clear: () => {},
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function startKeeping(folder: string): Promise<Sink> {
  const server = await startReceiveServer('ferry', folder)
  const kept = (): string[] =>
    readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .map((name) => join(folder, name))
  return {
    urlFor: (client) => `${server.url}${pathFor(client)}`,
    async check(file) {
      const [path = ''] = kept()
      await measure(['cmp', file, path])
    },
    clear() {
      for (const path of kept()) rmSync(path)
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      removeFolder(folder)
    },
  }
}

function pathFor(client: string): string {
  if (client === 'indexedcp') return '/upload'
  return client === 'ietf' || client === BASE ? '/files/' : '/files'
}
