/** Lets a program fetch a file from a fault server, and judges the file by its bytes. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { FaultServer } from '../packages/ferry/src/testing/fault-server.ts'
import type { FaultServerOptions } from '../packages/ferry/src/testing/fault-server-answer.ts'
import type { FaultScenario, FaultSetting } from '../test/support/fault-scenarios-table.ts'
import type { FaultTool } from './faults-tools.ts'
import { type Command, endProgram, startProgram } from './support.ts'

/** How a run ended, by what the program told and by what is there. */
export type Ending =
  | { readonly type: 'right' }
  /** It told of success, and the file is a wrong one, or there is none. */
  | { readonly type: 'corrupt' | 'missing' }
  | { readonly type: 'error'; readonly exitCode: number }
  /** It was not done in time, and was killed. */
  | { readonly type: 'late' }

/** One run, with what it cost. */
export interface Outcome {
  readonly ending: Ending
  readonly wallMs: number
  readonly sentBytes: number
  readonly requests: number
}

/** What happens to the file between the kill and the second run. */
export interface KillCase {
  readonly name: string
  readonly replace: (setting: FaultSetting) => Partial<FaultServerOptions>
}

export const KILL_AFTER_MS = 3000
/** Several times what one connection needs. */
export const PATIENCE_MS = 60_000

const FILE_NAME = 'out.bin'
const ETAG = '"v1"'
const LAST_MODIFIED = 'Fri, 20 Nov 2020 10:00:00 GMT'
const NEW_VALIDATORS = { etag: '"v2"', lastModified: 'Sat, 21 Nov 2020 10:00:00 GMT' }

export const KILL_CASES: readonly KillCase[] = [
  { name: 'the file has not changed', replace: () => ({}) },
  {
    name: 'another file of the same size is there',
    replace: ({ replacement }) => ({ content: replacement, ...NEW_VALIDATORS }),
  },
  {
    name: 'a shorter file is there',
    replace: ({ replacement }) => ({
      content: replacement.subarray(0, Math.floor(replacement.length * 0.9)),
      ...NEW_VALIDATORS,
    }),
  },
]

/** Plays one scenario with one program, in a folder under `parent` that is gone afterwards. */
export async function playScenario(
  scenario: FaultScenario,
  tool: FaultTool,
  { setting, parent }: { readonly setting: FaultSetting; readonly parent: string },
): Promise<Outcome> {
  await using server = await startServer(setting, scenario.options(setting))
  await using folder = await createFolder(parent)
  const running = runTool(tool, server, folder.path)
  // A program may end before the change, which is then not waited for.
  await Promise.race([running, scenario.during?.(server, setting)])
  const { exitCode, wallMs } = await running
  const versions = [setting.content, server.options.content]
  const ending = await judge(exitCode, join(folder.path, FILE_NAME), versions)
  return { ending, wallMs, sentBytes: server.sentBytes, requests: server.requests.length }
}

/** Kills a program after a while, changes the file perhaps, and runs the same command again. */
export async function playKill(
  { replace }: KillCase,
  tool: FaultTool,
  { setting, parent }: { readonly setting: FaultSetting; readonly parent: string },
): Promise<Outcome> {
  const validators = { etag: ETAG, lastModified: LAST_MODIFIED }
  await using server = await startServer(setting, validators)
  await using folder = await createFolder(parent)
  await runTool(tool, server, folder.path, KILL_AFTER_MS)
  const [sentBefore, requestsBefore] = [server.sentBytes, server.requests.length]
  Object.assign(server.options, replace(setting))
  const { exitCode, wallMs } = await runTool(tool, server, folder.path)
  const ending = await judge(exitCode, join(folder.path, FILE_NAME), [server.options.content])
  return {
    ending,
    wallMs,
    sentBytes: server.sentBytes - sentBefore,
    requests: server.requests.length - requestsBefore,
  }
}

function startServer(
  { content, bytesPerSecond }: FaultSetting,
  options: Partial<FaultServerOptions>,
): Promise<FaultServer> {
  return FaultServer.start({ content, bytesPerSecond, ...options })
}

async function createFolder(parent: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(parent, 'run-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

/** Runs a program to its end or its kill; no exit code means that it had to be killed. */
async function runTool(
  tool: FaultTool,
  { url }: FaultServer,
  folder: string,
  killAfterMs: number = PATIENCE_MS,
): Promise<{ readonly exitCode: number | undefined; readonly wallMs: number }> {
  const command = tool.command({ url, folder, name: FILE_NAME })
  const startedAt = performance.now()
  const child = startProgram(inFolder(folder, command), 'ignore')
  child.stderr?.resume()
  const exited = once(child, 'exit') as Promise<[number | null]>
  const done = new AbortController()
  await Promise.race([exited, pause(killAfterMs, undefined, { signal: done.signal })])
  done.abort()
  if (child.exitCode === null) endProgram(child)
  const [exitCode] = await exited
  return { exitCode: exitCode ?? undefined, wallMs: performance.now() - startedAt }
}

/** Neither settings nor caches of the person at the machine are to matter. */
function inFolder(folder: string, command: Command): Command {
  return ['env', '-C', folder, `HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`, ...command]
}

async function judge(
  exitCode: number | undefined,
  path: string,
  versions: readonly Buffer[],
): Promise<Ending> {
  if (exitCode === undefined) return { type: 'late' }
  if (exitCode !== 0) return { type: 'error', exitCode }
  const content = await readFile(path).catch(() => undefined)
  if (content === undefined) return { type: 'missing' }
  return { type: versions.some((version) => version.equals(content)) ? 'right' : 'corrupt' }
}
