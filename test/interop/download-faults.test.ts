/**
 * Ferry's `download()` through every trouble of the table: the right file where it can be had, else a
 * clear error and no file; and not many more bytes than the file has.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { HttpClient } from '../../packages/ferry/src/client/http-client.ts'
import { download } from '../../packages/ferry/src/download/download.ts'
import { isFerryError } from '../../packages/ferry/src/errors.ts'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import {
  FAULT_SCENARIOS,
  type FaultScenario,
  type FaultSetting,
} from '../support/fault-scenarios-table.ts'
import { TempDir } from '../support/temp-dir.ts'

// One connection takes 2 s.
const SETTING: FaultSetting = {
  content: randomBytes(1_600_000),
  replacement: randomBytes(1_600_000),
  bytesPerSecond: 800_000,
  // So small a file is worth two connections.
  fewConnections: 1,
}
const MAX_CONNECTIONS = 4
const SILENCE_MS = 1500
/** Many times what any row should take. */
const PATIENCE_MS = 60_000

test.concurrent.each(FAULT_SCENARIOS)(
  'download() through: $name',
  async (scenario) => {
    expect(await findProblem(scenario)).toBeUndefined()
  },
  2 * PATIENCE_MS,
)

/** Plays a row; gives what is wrong with how it ended. */
async function findProblem(scenario: FaultScenario): Promise<string | undefined> {
  await using dir = await TempDir.create()
  await using client = new HttpClient({ bodyTimeoutMs: SILENCE_MS, headersTimeoutMs: SILENCE_MS })
  await using server = await FaultServer.start({
    content: SETTING.content,
    bytesPerSecond: SETTING.bytesPerSecond,
    ...scenario.options(SETTING),
  })
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const run = download(server.url, dir.join('file.bin'), {
    client,
    signal,
    maxConnections: MAX_CONNECTIONS,
  })
  const ended = run.result.then(
    () => undefined,
    (error: unknown) => error as Error,
  )
  // A row that ends before its change needs none.
  await Promise.race([ended, scenario.during?.(server, SETTING)])
  const error = await ended
  if (signal.aborted) return 'it takes too long'
  if (error !== undefined && !isFerryError(error)) return `unexpected ${error.message}`
  const problem =
    error === undefined
      ? await judgeFile(scenario, server, dir)
      : await judgeError(scenario, error, dir)
  const copies = server.sentBytes / SETTING.content.length
  if (problem !== undefined || copies <= scenario.maxCopies) return problem
  return `${copies.toFixed(2)} copies were sent`
}

async function judgeFile(
  { ends }: FaultScenario,
  server: FaultServer,
  dir: TempDir,
): Promise<string | undefined> {
  const content = await readFile(dir.join('file.bin'))
  // Either version will do where there were two.
  const isRight = content.equals(SETTING.content) || content.equals(server.options.content)
  if (!isRight) return 'a wrong file'
  return ends === 'error' ? 'a file that cannot be right' : undefined
}

async function judgeError(
  { ends }: FaultScenario,
  error: Error,
  dir: TempDir,
): Promise<string | undefined> {
  if ((await dir.names()).includes('file.bin')) return `a file in spite of: ${error.message}`
  return ends === 'file' ? error.message : undefined
}
