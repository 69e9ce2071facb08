/** Servers under the benchmarks of receiving: processes that are asked for their time and memory. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startNodeServer } from './node-server.ts'
import { formatSpread, median, pairwiseRatio } from './statistics.ts'
import { MIB, NODE, onServerCore } from './support.ts'

export type ServerKind = 'ferry' | 'ferry, ack: written' | '@tus/server' | 'append per chunk'

/** A running server; whoever starts it disposes of it. */
export interface ReceiveServer extends AsyncDisposable {
  readonly url: string
  /** User and system time of all its threads since its start; the system counts in 10 ms. */
  cpuMs(): number
  rssBytes(): number
  peakRssBytes(): number
}

/** One transfer, as the server has borne it. */
export interface ServerRun {
  readonly cpuMs: number
  readonly wallMs: number
  readonly bytes: number
}

const MAIN = fileURLToPath(new URL('./receive-server.ts', import.meta.url))
/** `USER_HZ` of every Linux. */
const TICK_MS = 10

/** Starts a server that receives into a folder, alone on its core. */
export async function startReceiveServer(kind: ServerKind, folder: string): Promise<ReceiveServer> {
  const server = await startNodeServer(onServerCore([NODE, MAIN, kind, folder]))
  const { pid } = server
  return {
    url: `http://127.0.0.1:${server.ports[0]}`,
    cpuMs: () => readCpuMs(pid),
    rssBytes: () => readMemory(pid, 'VmRSS'),
    peakRssBytes: () => readMemory(pid, 'VmHWM'),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function readCpuMs(pid: number): number {
  // The name of the program, in parentheses, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  const [userTicks, systemTicks] = [fields[11], fields[12]].map(Number) as [number, number]
  return (userTicks + systemTicks) * TICK_MS
}

function readMemory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
}

// ── Tables

/** The columns of `formatServer`. */
export const runColumns = (base: string): readonly string[] => [
  'server',
  'server CPU ms per GB, min / median / max',
  `CPU × ${base}`,
  'MB/s, min / median / max',
  `MB/s × ${base}`,
  'peak RSS MiB',
]

/** The row of one server. */
export function formatServer(
  kind: ServerKind,
  runs: readonly ServerRun[],
  base: readonly ServerRun[],
  peakRssBytes: number,
): string[] {
  const cpu = runs.map(cpuPerGb)
  const speed = runs.map(megabytesPerSecond)
  return [
    kind,
    formatSpread(cpu),
    cpuRatio(runs, base).toFixed(2),
    formatSpread(speed),
    speedRatio(runs, base).toFixed(2),
    (peakRssBytes / MIB).toFixed(0),
  ]
}

export function cpuRatio(runs: readonly ServerRun[], base: readonly ServerRun[]): number {
  return pairwiseRatio(runs.map(cpuPerGb), base.map(cpuPerGb))
}

export function speedRatio(runs: readonly ServerRun[], base: readonly ServerRun[]): number {
  return pairwiseRatio(runs.map(megabytesPerSecond), base.map(megabytesPerSecond))
}

function cpuPerGb({ cpuMs, bytes }: ServerRun): number {
  return cpuMs / (bytes / 1e9)
}

function megabytesPerSecond({ wallMs, bytes }: ServerRun): number {
  return bytes / 1e6 / (wallMs / 1000)
}

/** In MiB, of several runs. */
export function formatMebibytes(values: readonly number[]): string {
  return (median(values) / MIB).toFixed(0)
}
