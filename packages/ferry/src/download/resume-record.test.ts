import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatRecord } from '../transfer/record-log.ts'
import { SpanSet } from '../transfer/span.ts'
import { Journal, loadResumeRecord, parseResumeRecord, removeJournal } from './resume-record.ts'

const IDENTITY = {
  size: 1000,
  etag: '"a"',
  weakEtag: 'W/"b"',
  lastModified: 'Fri, 20 Nov 2026 10:00:00 GMT',
}
const SOURCE = { url: 'http://a/b', salt: '00ff', queryDigest: 'abcd' }
const HEADER = { type: 'download', format: 2, ...SOURCE, ...IDENTITY }
const spans = (...pairs: [number, number][]): SpanSet =>
  new SpanSet(pairs.map(([start, end]) => ({ start, end })))

async function useFolder(run: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-journal-'))
  try {
    await run(join(folder, 'a.journal'), folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('a journal gives back what was written to it', async () => {
  await useFolder(async (path, folder) => {
    const journal = await Journal.create(path, {
      source: SOURCE,
      identity: IDENTITY,
      spans: spans([0, 10]),
    })
    await journal.append(spans([0, 20], [50, 60]))
    await journal.append(spans([0, 20], [50, 60]))
    await journal.append(spans([0, 60]))
    await journal.close()

    const record = await loadResumeRecord(path)

    expect(record?.source).toEqual(SOURCE)
    expect(record?.identity).toEqual(IDENTITY)
    expect([...(record?.spans ?? [])]).toEqual([{ start: 0, end: 60 }])
    expect(await readdir(folder)).toEqual(['a.journal'])
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(5)
  })
})

test('a journal that is cut at any byte never names a byte that was not noted, and loses only its tail', async () => {
  await useFolder(async (path) => {
    const journal = await Journal.create(path, {
      source: SOURCE,
      identity: IDENTITY,
      spans: new SpanSet(),
    })
    const steps = [spans([0, 10]), spans([0, 25]), spans([0, 25], [700, 1000]), spans([0, 1000])]
    const noted: { at: number; spans: SpanSet }[] = [
      { at: (await readFile(path)).length, spans: new SpanSet() },
    ]
    for (const step of steps) {
      await journal.append(step)
      noted.push({ at: (await readFile(path)).length, spans: step })
    }
    await journal.close()
    const bytes = await readFile(path)

    for (let length = 0; length <= bytes.length; length++) {
      const record = parseResumeRecord(bytes.subarray(0, length).toString('utf8'))
      const last = noted.findLast(({ at }) => at <= length)

      expect(record?.spans.toJSON()).toEqual(last?.spans.toJSON())
    }
  })
})

test('a journal of which any byte has changed never names a byte that was not noted', () => {
  const text = [HEADER, { type: 'spans', spans: [[0, 10]] }, { type: 'spans', spans: [[20, 30]] }]
    .map(formatRecord)
    .join('')
  const truth = spans([0, 10], [20, 30])
  for (let at = 0; at < text.length; at++) {
    for (const other of ['9', '\n', ']']) {
      const record = parseResumeRecord(text.slice(0, at) + other + text.slice(at + 1))

      for (const span of record?.spans ?? []) expect(truth.covers(span)).toBe(true)
      if (record !== undefined) expect(record.identity).toEqual(IDENTITY)
    }
  }
})

const foreign: readonly [string, string][] = [
  ['nothing', ''],
  ['text', 'hello\nworld\n'],
  ['aria2 control file', '\0\x01\0\0\0\0'],
  ['spans without a header', formatRecord({ type: 'spans', spans: [[0, 10]] })],
  ['a header of another format', formatRecord({ ...HEADER, format: 1 })],
  ['a header without a URL', formatRecord({ ...HEADER, url: undefined })],
  ['a header of another type', formatRecord({ ...HEADER, type: 'upload' })],
  ['a header that is no object', '6f7b1a2c null\n'],
]

test.each(foreign)('parseResumeRecord() does not take %s for a journal', (_, text) => {
  expect(parseResumeRecord(text)).toBeUndefined()
})

const odd: readonly [string, unknown][] = [
  ['beyond the size', [[0, 1001]]],
  ['negative', [[-5, 10]]],
  ['backwards', [[10, 5]]],
  ['fractions', [[0.5, 10]]],
  ['texts', [['0', '10']]],
  ['no pairs', [5, null, [], [1]]],
  ['no list', 'all'],
  ['without end', [[0, null]]],
]

test.each(odd)('parseResumeRecord() drops spans that are %s', (_, value) => {
  const text = formatRecord(HEADER) + formatRecord({ type: 'spans', spans: value })

  expect(parseResumeRecord(text)?.spans.bytes).toBe(0)
})

test('parseResumeRecord() names no bytes of a version without a size', () => {
  const text =
    formatRecord({ ...HEADER, size: undefined }) + formatRecord({ type: 'spans', spans: [[0, 10]] })

  expect(parseResumeRecord(text)?.spans.bytes).toBe(0)
})

test('loadResumeRecord() gives undefined where there is no journal, and surfaces other trouble', async () => {
  await useFolder(async (path, folder) => {
    expect(await loadResumeRecord(path)).toBeUndefined()
    await expect(loadResumeRecord(folder)).rejects.toMatchObject({ code: 'not-writable' })
  })
})

test('Journal.create() replaces what was there, a half-made one too', async () => {
  await useFolder(async (path, folder) => {
    await writeFile(path, 'old')
    await writeFile(`${path}.new`, 'half-made'.repeat(100))

    await (
      await Journal.create(path, { source: SOURCE, identity: IDENTITY, spans: new SpanSet() })
    ).close()

    expect((await loadResumeRecord(path))?.identity).toEqual(IDENTITY)
    expect(await readdir(folder)).toEqual(['a.journal'])
    await removeJournal(path)
    await removeJournal(path)
    expect(await readdir(folder)).toEqual([])
  })
})

test('Journal.create() says why it cannot', async () => {
  const record = { source: SOURCE, identity: IDENTITY, spans: new SpanSet() }

  await expect(Journal.create('/nowhere/a.journal', record)).rejects.toMatchObject({
    code: 'not-writable',
  })
})
