/**
 * What the benchmarks share: running a program and measuring it as a whole, nginx as the server,
 * statistics, tables, and clearing up at the end however it comes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificate } from '../packages/ferry/src/testing/certificates.ts'
import { requireTool } from '../test/support/tools.ts'

/** What a benchmark may be told. */
export interface BenchOptions {
  /** Fewer rounds, for a first look. */
  readonly quick: boolean
}

/** One run of a program from spawning to its exit. */
export interface Measurement {
  readonly wallMs: number
  /** User and system time of the program and its children. */
  readonly cpuMs: number
  readonly peakRssBytes: number
  readonly stdout: string
}

/** A program with its arguments. */
export type Command = readonly [program: string, ...args: string[]]

export const NODE: string = process.execPath
export const FERRY: Command = [NODE, join(import.meta.dirname, '../packages/cli/bin/ferry.js')]
export const MIB = 1_048_576

const GNU_TIME = '/usr/bin/time'
const TMPFS = '/dev/shm'
const NGINX_CORE = '1'
/** nginx starts in a few milliseconds; this is for a machine that is very busy. */
const NGINX_START_TIMEOUT_MS = 5000

// ── Clearing up

const runningChildren = new Set<ChildProcess>()
const folders = new Set<string>()

/** Makes the end of the process, whatever its cause, end children and remove files. */
export function clearUpAtExit(): void {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  process.once('exit', () => {
    for (const child of runningChildren) killGroup(child)
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
}

/** A fresh folder, in memory when that has `bytes` left; removed at the end of the process. */
export function createFolder(bytes = 0): string {
  const inMemory = existsSync(TMPFS) && freeBytesOf(TMPFS) > bytes
  const folder = mkdtempSync(join(inMemory ? TMPFS : tmpdir(), 'ferry-bench-'))
  folders.add(folder)
  if (!inMemory) progress(`no room for ${bytes} bytes in ${TMPFS}: files are on disk`)
  return folder
}

/** Whether a folder that was made here is in memory. */
export function isInMemory(folder: string): boolean {
  return folder.startsWith(`${TMPFS}/`)
}

/** Removes a folder early, since memory is short. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** A group of its own lets one signal reach the program behind `time` and `taskset` too. */
function start(command: Command, stdio: 'pipe' | 'ignore'): ChildProcess {
  const [program, ...args] = command
  const child = spawn(program, args, { detached: true, stdio: ['ignore', stdio, 'pipe'] })
  runningChildren.add(child)
  child.once('exit', () => runningChildren.delete(child))
  return child
}

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL')
  } catch {
    // It ended in this very moment.
  }
}

// ── Measuring

/**
 * Runs a program to its end.
 * @throws {Error} when it fails, with the end of what it wrote to stderr
 */
export async function measure(command: Command): Promise<Measurement> {
  if (!existsSync(GNU_TIME)) throw new Error('Cannot measure: install the Debian package time')
  const startedAt = performance.now()
  const child = start([GNU_TIME, '-q', '-f', '%U %S %M', ...command], 'pipe')
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr?.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const closed = once(child, 'close')
  const [code] = (await once(child, 'exit')) as [number | null]
  const wallMs = performance.now() - startedAt
  await closed
  if (code !== 0) {
    throw new Error(`Cannot measure ${command.join(' ')}: it ended with ${code}: ${output.stderr}`)
  }
  const [user = 0, system = 0, rssKib = 0] = (output.stderr.trimEnd().split('\n').at(-1) ?? '')
    .split(' ')
    .map(Number)
  return {
    wallMs,
    cpuMs: (user + system) * 1000,
    peakRssBytes: rssKib * 1024,
    stdout: output.stdout,
  }
}

/** Says what goes on, apart from the results. */
export function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

// ── Statistics and tables

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Median of the ratios of values that were measured in the same round. */
export function pairwiseRatio(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value / (base[round] ?? Number.NaN)))
}

/** `min / median / max`. */
export function formatSpread(values: readonly number[], digits = 0): string {
  return [Math.min(...values), median(values), Math.max(...values)]
    .map((value) => value.toFixed(digits))
    .join(' / ')
}

/** A markdown table with its heading. */
export function formatTable(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = columns.map((_, index) => (index === 0 ? '---' : '---:'))
  return [`## ${title}`, '', ...[columns, rule, ...rows].map(line), ''].join('\n')
}

// ── nginx

/** A running nginx that serves a folder over HTTP and over TLS. */
export interface Nginx extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  readonly tlsUrl: string
  /** The certificate to trust, PEM. */
  readonly certificatePath: string
}

/** Starts nginx for the files in `root`: one worker, alone on its core, with a folder of its own. */
export async function startNginx(root: string): Promise<Nginx> {
  const folder = createFolder()
  const { key, cert } = createCertificate('IP:127.0.0.1')
  const certificatePath = join(folder, 'cert.pem')
  writeFileSync(certificatePath, cert)
  writeFileSync(join(folder, 'key.pem'), key)
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const [port, tlsPort] = await findFreePorts()
  writeFileSync(join(folder, 'nginx.conf'), formatNginxConfig(folder, root, port, tlsPort))
  const nginx: Command = [requireTool('nginx'), '-p', folder, '-c', join(folder, 'nginx.conf')]
  const child = start(['taskset', '-c', NGINX_CORE, ...nginx], 'ignore')
  await waitForPort(port, () => readErrors(join(folder, 'error.log')))
  return {
    url: `http://127.0.0.1:${port}`,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    certificatePath,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      killGroup(child)
      await exited
      removeFolder(folder)
    },
  }
}

function formatNginxConfig(folder: string, root: string, port: number, tlsPort: number): string {
  return `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    events { worker_connections 1024; }
    http {
      access_log off;
      sendfile on;
      tcp_nodelay on;
      keepalive_requests 1000000000;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      types { application/json json; }
      server {
        listen 127.0.0.1:${port};
        listen 127.0.0.1:${tlsPort} ssl;
        ssl_certificate ${folder}/cert.pem;
        ssl_certificate_key ${folder}/key.pem;
        root ${root};
      }
    }
  `
}

async function findFreePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = servers.map(async (server) => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  })
  const [first = 0, second = 0] = await Promise.all(ports)
  for (const server of servers) server.close()
  return [first, second]
}

async function waitForPort(port: number, explain: () => string): Promise<void> {
  const deadline = performance.now() + NGINX_START_TIMEOUT_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    if (performance.now() > deadline) throw new Error(`Cannot start nginx: ${explain()}`)
    await wait(20)
  }
}

function readErrors(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : 'it does not answer'
}
