import type { DownloadResult } from 'ferry/download'
import { describe, expect, test } from 'vitest'
import { describeDoubt, describeEvent, describeResult } from './get-words.ts'

const FETCHED: DownloadResult = {
  outcome: 'fetched',
  path: '/x/file.iso',
  size: 3_145_728,
  fetchedBytes: 2_097_152,
  resumedBytes: 1_048_576,
  elapsedMs: 2000,
  checksum: { algorithm: 'sha256', hex: '00' },
  proof: 'digest',
}

describe('describeResult()', () => {
  test('says what came and what proves it', () => {
    expect(describeResult(FETCHED)).toBe(
      '/x/file.iso: 3 MiB in 2.0 s (1 MiB/s), 1 MiB were here already, sha256 is right',
    )
  })

  test.each([
    { outcome: 'skipped', text: '/x/file.iso: skipped, since it is there already' },
    {
      outcome: 'not-modified',
      text: '/x/file.iso: left as it is, the server has nothing newer',
    },
  ] as const)('says why nothing came: $outcome', ({ outcome, text }) => {
    expect(describeResult({ ...FETCHED, outcome })).toBe(text)
  })
})

describe('describeDoubt()', () => {
  test('warns of what only an overlap proves', () => {
    expect(describeDoubt({ ...FETCHED, proof: 'overlap' })).toMatch(/^Cannot be sure of \/x\/file/)
    for (const proof of ['digest', 'single-response', 'validator', undefined] as const) {
      expect(describeDoubt({ ...FETCHED, proof })).toBeUndefined()
    }
  })
})

describe('describeEvent()', () => {
  const error = new Error('Cannot do it')

  test.each([
    [{ type: 'retry', error, attempt: 1, delayMs: 500 }, '; trying again in 0.5 s (try 2)'],
    [{ type: 'restart', error }, '; starting again from its beginning'],
    [{ type: 'mirror-dropped', error, url: 'http://a.example/' }, '; going on without it'],
    [{ type: 'bad-piece', error, span: { start: 0, end: 1 } }, '; fetching them again'],
  ] as const)('says what is done about %o', (event, words) => {
    expect(describeEvent(event)).toBe(`Cannot do it${words}`)
  })

  test('leaves out what a display shows', () => {
    expect(describeEvent({ type: 'state', state: 'running' })).toBeUndefined()
    expect(describeEvent({ type: 'named', path: '/x' })).toBeUndefined()
  })
})
