/**
 * What the benchmarks share: running a program and measuring it as a whole, taking turns, folders,
 * and clearing up at the end however it comes.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs'
import { randomFillSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
export const GIB: number = 1024 * MIB

const GNU_TIME = '/usr/bin/time'
const TMPFS = '/dev/shm'
/** The client has one core and the server the other, so that neither takes the other's time. */
const CLIENT_CORE = '0'
const SERVER_CORE = '1'

// ── Clearing up

const runningChildren = new Set<ChildProcess>()
const folders = new Set<string>()

/** Makes SIGINT and SIGTERM end the process by `exit`, so that it clears up. */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}

/** Makes the end of the process end children and remove files. */
export function clearUpAtExit(): void {
  process.once('exit', () => {
    for (const child of runningChildren) endProgram(child)
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
}

/** A fresh folder, in memory when that has `bytes` left; removed at the end of the process. */
export function createFolder(bytes = 0): string {
  const inMemory = existsSync(TMPFS) && freeBytesOf(TMPFS) > bytes
  if (!inMemory) {
    progress(`no room for ${bytes} bytes in ${TMPFS}: files are on disk`)
    return createDiskFolder()
  }
  const folder = mkdtempSync(join(TMPFS, 'ferry-bench-'))
  folders.add(folder)
  return folder
}

/** A fresh folder on the disk; removed at the end of the process. */
export function createDiskFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-bench-'))
  folders.add(folder)
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

/** The same program, alone on the server's core. */
export function onServerCore(command: Command): Command {
  return ['taskset', '-c', SERVER_CORE, ...command]
}

/** Starts a program, in a group of its own: that lets one signal reach what runs behind `taskset` too. */
export function startProgram(command: Command, stdout: 'pipe' | 'ignore'): ChildProcess {
  const [program, ...args] = command
  const child = spawn(program, args, { detached: true, stdio: ['ignore', stdout, 'pipe'] })
  runningChildren.add(child)
  child.once('exit', () => runningChildren.delete(child))
  return child
}

/** Ends what `startProgram` has started, at once. */
export function endProgram(child: ChildProcess): void {
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
  const child = startProgram([GNU_TIME, '-q', '-f', '%U %S %M', ...command], 'pipe')
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

/** The same on the client's core. */
export function measureClient(command: Command): Promise<Measurement> {
  return measure(['taskset', '-c', CLIENT_CORE, ...command])
}

/** Another one comes first in each round, so that none always runs after the same one. */
export function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

/** Writes a file of random bytes, `bytes` being whole blocks of 64 MiB. */
export function writeRandomFile(path: string, bytes: number): void {
  const block = Buffer.allocUnsafeSlow(64 * MIB)
  const file = openSync(path, 'wx')
  try {
    for (let written = 0; written < bytes; written += block.length) {
      writeSync(file, randomFillSync(block))
    }
  } finally {
    closeSync(file)
  }
}

/**
 * Writes and removes a file of `bytes`, being whole blocks of 64 MiB. A virtual machine that has given
 * free memory back to its host gets it again at the first touch, slowly; that is not to be any tool's
 * time.
 */
export function touchMemory(path: string, bytes: number): void {
  const block = Buffer.alloc(64 * MIB)
  const file = openSync(path, 'wx')
  for (let written = 0; written < bytes; written += block.length) writeSync(file, block)
  closeSync(file)
  rmSync(path)
}
