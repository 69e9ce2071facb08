import { ConfigError, ConnectError, HttpStatusError, TransferError } from 'ferry/errors'
import type { UploadProgress } from 'ferry/upload'
import { describe, expect, test } from 'vitest'
import { Interruption } from './fetch-failure.ts'
import { describeSendFailure, type FailedSend, isRefusal } from './send-failure.ts'

const WORDS = { command: 'ferry put', advice: { 'no-space': 'Make room' } } as const
const PROGRESS: UploadProgress = {
  state: 'failed',
  protocol: 'tus',
  size: 4_194_304,
  acknowledgedBytes: 0,
  sentBytes: 0,
  resumedBytes: 0,
  transmittedBytes: 0,
  expiresAt: undefined,
  bytesPerSecond: 0,
  remainingSeconds: undefined,
}
const FAILED: FailedSend = {
  url: 'http://h/files',
  name: 'a.bin',
  progress: PROGRESS,
  goOn: 'Run it again',
}

function statusError(status: number, excerpt?: string): HttpStatusError {
  return new HttpStatusError(`Cannot create an upload: the server answered ${status}`, {
    status,
    statusText: '',
    headers: [],
    excerpt,
  })
}

describe('describeSendFailure()', () => {
  test('names the file, says what was attempted, and how it is gone on with', () => {
    const error = new ConnectError('connect', 'Cannot POST http://h/files: connection refused')

    expect(describeSendFailure(error, FAILED, WORDS)).toEqual({
      url: 'http://h/files',
      name: 'a.bin',
      error,
      code: 'connect-failed',
      exitCode: 4,
      message:
        'a.bin: Cannot POST http://h/files: connection refused. ' +
        'Check that the server runs and the port is right. Run it again.',
    })
  })

  test('names a file whose name is a part of a word, too, and no file twice', () => {
    const error = new ConnectError('connect', 'Cannot POST http://h/files: connection refused')
    const named = new TransferError('source-changed', 'Cannot send "/b/a": the file has changed')

    const [refused, changed] = [error, named].map(
      (one) => describeSendFailure(one, { ...FAILED, name: 'a' }, WORDS).message,
    )

    expect(refused).toMatch(/^a: Cannot POST /)
    expect(changed).toMatch(/^Cannot send "\/b\/a": /)
  })

  test.each([
    [401, 'Check the key, or say who asks, with INDEXCP_API_KEY, --key-file FILE, -u NAME or -H'],
    [403, 'Check the key, and whether it may upload there.'],
    [404, 'Check the URL: it has to be the one where the server takes uploads.'],
    [407, 'The proxy wants to know who asks'],
    [409, 'Send it under another name with --name NAME.'],
    [413, 'The server takes no file as large; ask its operator to allow more.'],
    [429, 'Wait for the server. Run it again.'],
    [503, 'Wait for the server. Run it again.'],
    [507, 'The server has no room; see to that. Run it again.'],
  ])('says what can be done about status %d', (status, advice) => {
    const { exitCode, message } = describeSendFailure(statusError(status), FAILED, WORDS)

    expect(exitCode).toBe(8)
    expect(message).toContain(`the server answered ${status}. ${advice}`)
  })

  test.each([
    ['No.\nReally not.', ', and says No. '],
    ['{"error":"Invalid key"}', ', and says Invalid key. '],
    ['{"error":"x","message":"Name refused."}', ', and says Name refused. '],
    ['{"error":7}', ', and says {"error":7}. '],
    ['{broken', ', and says {broken. '],
    ['<html>No</html>', '403. '],
    ['x'.repeat(301), '403. '],
    ['', '403. '],
  ])('tells what the server says, where that is a line for people: %j', (excerpt, told) => {
    const { message } = describeSendFailure(statusError(403, excerpt), FAILED, WORDS)

    expect(message).toContain(`${told}Check the key`)
  })

  test.each([
    [{}, 'Interrupted before anything of a.bin was sent. Run it again.'],
    [
      { acknowledgedBytes: 1_048_576, resumedBytes: 1_048_576 },
      'Interrupted when 1 MiB of 4 MiB of a.bin were sent. Run it again.',
    ],
    [
      { resumedBytes: 1_048_576, transmittedBytes: 1_048_576 },
      'Interrupted when 2 MiB of 4 MiB of a.bin were sent. Run it again.',
    ],
    [
      { transmittedBytes: 9_000_000 },
      'Interrupted when 4 MiB of 4 MiB of a.bin were sent. Run it again.',
    ],
    [
      { size: undefined, transmittedBytes: 1024 },
      'Interrupted when 1 KiB of a.bin were sent. Run it again.',
    ],
  ])('tells of an interruption at %j', (progress, message) => {
    const failed = { ...FAILED, progress: { ...PROGRESS, ...progress } }

    expect(describeSendFailure(new Interruption('SIGINT'), failed, WORDS)).toMatchObject({
      code: 'interrupted',
      exitCode: 130,
      message,
    })
  })

  test('prefers the advice of its command', () => {
    const error = new TransferError('no-space', 'Cannot open the outbox: the disk is full')

    expect(describeSendFailure(error, undefined, WORDS).message).toBe(
      'Cannot open the outbox: the disk is full. Make room.',
    )
  })

  test.each([
    ['file', 'Check the path.'],
    ['protocol', 'Check the URL; --protocol NAME says what is spoken there.'],
    ['chunk-size', 'See ferry put --help.'],
  ])('tells where an option is explained: %s', (option, advice) => {
    const { exitCode, message } = describeSendFailure(
      new ConfigError(option, 'Cannot use it'),
      undefined,
      WORDS,
    )

    expect({ exitCode, message }).toEqual({ exitCode: 2, message: `Cannot use it. ${advice}` })
  })

  test('asks for a report of what nobody has expected', () => {
    expect(describeSendFailure(new Error('x'), FAILED, WORDS)).toMatchObject({
      exitCode: 1,
      message: 'Unexpected failure: x. Please report it, with the command that led to it.',
    })
  })
})

describe('isRefusal()', () => {
  test.each([
    [statusError(401), true],
    [statusError(404), true],
    [statusError(423), false],
    [statusError(503), false],
    [new ConfigError('protocol', 'x'), true],
    [new ConnectError('connect', 'x'), false],
    [new TransferError('delivery-in-doubt', 'x'), false],
    [new Interruption('SIGINT'), false],
  ])('%s: %s', (error, refused) => {
    expect(isRefusal(error)).toBe(refused)
  })
})
