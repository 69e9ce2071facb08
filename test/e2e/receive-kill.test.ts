/**
 * kill -9 of a process that receives, at random moments: every acknowledged byte is there, every
 * finished file is right, and nothing half-finished ever stands under its final name.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { UploadFolder, type UploadStatus } from 'ferry/receive'
import { expect, test } from 'vitest'
import { seededContent } from '../support/receive-content.ts'
import { TempDir } from '../support/temp-dir.ts'

const ROUNDS = process.env['FERRY_BIG'] === undefined ? 15 : 500
const MAX_LIFE_MS = 150
const MAIN = fileURLToPath(new URL('../support/receive-main.ts', import.meta.url))

/** What one life of the process has said. */
async function liveAndDie(folder: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=ferry-source', MAIN, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  const ended = once(child.stdout, 'end')
  const begun = once(child.stdout, 'data')
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await Promise.race([begun, ended])
  await pause(randomInt(MAX_LIFE_MS))
  child.kill('SIGKILL')
  await ended
  expect(child.signalCode ?? (await once(child, 'exit'))[1]).toBe('SIGKILL')
  // The last line may be cut.
  return text.split('\n').slice(0, -1)
}

/** Compares what a folder holds with what was said of it, and gives how many files are finished. */
async function checkFolder(folder: string, lines: readonly string[]): Promise<number> {
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  expect(core.problems).toEqual([])
  const uploads = new Map([...core.list()].map((upload) => [upload.id, upload]))
  const gone = new Set(
    lines.filter((line) => line.startsWith('gone ')).map((line) => line.slice(5)),
  )
  for (const line of lines) {
    const [type, id = '', ...rest] = line.split(' ')
    if (gone.has(id)) continue
    expect(coversLine(uploads.get(id), type, rest), line).toBe(true)
  }
  for (const { id, state, spans, metadata } of core.list()) {
    if (state === 'completed') continue
    for (const span of spans) {
      const expected = seededContent(Number(metadata['seed']), span.start, span.end)
      expect((await core.read(id, span)).equals(expected)).toBe(true)
    }
  }
  const names = (await readdir(folder)).filter((name) => name !== '.ferry')
  for (const name of names) {
    const [, seed, length] = /^(\d+)-(\d+)(?: \(\d+\))?\.bin$/.exec(name) ?? []
    const expected = seededContent(Number(seed), 0, Number(length))
    expect((await readFile(join(folder, name))).equals(expected)).toBe(true)
  }
  const completed = [...core.list()].filter(({ state }) => state === 'completed')
  expect(names.toSorted()).toEqual(completed.map(({ name }) => name).toSorted())
  return names.length
}

/** Whether an upload has what a line says of it. */
function coversLine(
  upload: UploadStatus | undefined,
  type: string | undefined,
  rest: readonly string[],
): boolean {
  if (upload?.state === 'completed') return type !== 'done' || upload.name === rest[0]
  const [start, end] = type === 'ack' ? [0, Number(rest[0])] : rest.map(Number)
  const covers = (span: { start: number; end: number }): boolean =>
    span.start <= Number(start) && Number(end) <= span.end
  return type !== 'done' && upload?.spans.some(covers) === true
}

test(`a receiving process survives ${ROUNDS} kills`, { timeout: ROUNDS * 10_000 }, async () => {
  await using dir = await TempDir.create()
  let acknowledgements = 0
  let files = 0
  for (let round = 0; round < ROUNDS; round++) {
    const lines = await liveAndDie(dir.path)
    acknowledgements += lines.length
    files = await checkFolder(dir.path, lines)
  }

  expect(acknowledgements).toBeGreaterThan(ROUNDS)
  expect(files).toBeGreaterThan(0)
})
