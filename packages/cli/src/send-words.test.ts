import type { UploadEvent, UploadProgress, UploadResult } from 'ferry/upload'
import { describe, expect, test } from 'vitest'
import { describeDelivery, describeSendEvent, toShown } from './send-words.ts'

const RESULT: UploadResult = {
  protocol: 'tus',
  name: 'a.bin',
  remoteName: 'a (1).bin',
  uploadUrl: 'http://h/files/1?token=secret',
  size: 3_145_728,
  transmittedBytes: 2_097_152,
  resumedBytes: 1_048_576,
  elapsedMs: 2000,
}
const PROGRESS: UploadProgress = {
  state: 'running',
  protocol: 'tus',
  size: 100,
  acknowledgedBytes: 40,
  sentBytes: 70,
  resumedBytes: 0,
  transmittedBytes: 70,
  expiresAt: undefined,
  bytesPerSecond: 10,
  remainingSeconds: 3,
}

describe('describeDelivery()', () => {
  test('tells name, size, time, speed of what this run has sent, place and remote name', () => {
    expect(describeDelivery(RESULT, 'http://h/files')).toBe(
      'a.bin: 3 MiB in 2.0 s (1 MiB/s), 1 MiB were there already, at http://h/files/1?… as a (1).bin',
    )
  })

  test('leaves out what there is nothing to say of', () => {
    const result = { ...RESULT, remoteName: undefined, uploadUrl: undefined, resumedBytes: 0 }

    expect(describeDelivery({ ...result, elapsedMs: 0 }, 'http://h/upload')).toBe(
      'a.bin: 3 MiB in 0.0 s, at http://h/upload',
    )
  })
})

describe('describeSendEvent()', () => {
  const error = new Error('Cannot PATCH it: connection reset')
  const cases: readonly (readonly [UploadEvent, string | undefined])[] = [
    [
      { type: 'retry', error, reason: 'connection-lost', attempt: 1, delayMs: 500 },
      'Cannot PATCH it: connection reset; trying again in 0.5 s (try 2)',
    ],
    [
      { type: 'restart', error },
      'Cannot PATCH it: connection reset; starting again from its beginning',
    ],
    [
      { type: 'rewound', from: 2048, to: 1024 },
      'The server has only 1 KiB of the 2 KiB that it had said it has; sending the rest again',
    ],
    [
      { type: 'doubt', span: { start: 0, end: 10 } },
      'Bytes 0 to 10 are sent again, and may be in the file at the server twice',
    ],
    [{ type: 'state', state: 'running' }, undefined],
    [{ type: 'protocol', protocol: 'tus' }, undefined],
    [{ type: 'credentials', error }, undefined],
  ]

  test.each(cases)('%j', (event, words) => {
    expect(describeSendEvent(event)).toBe(words)
  })
})

describe('toShown()', () => {
  test.each([
    [{}, { state: 'running', receivedBytes: 70 }],
    [{ sentBytes: 100 }, { state: 'answering', receivedBytes: 100 }],
    [{ sentBytes: 100, acknowledgedBytes: 100 }, { state: 'running' }],
    [{ size: undefined }, { state: 'running', size: undefined }],
    [{ state: 'waiting' }, { state: 'waiting' }],
  ] as const)('%j', (progress, shown) => {
    expect(toShown({ ...PROGRESS, ...progress })).toMatchObject(shown)
  })
})
