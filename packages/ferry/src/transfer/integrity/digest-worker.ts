/**
 * The thread that hashes: a FileHasher behind messages. Started by worker-hasher.ts.
 *
 * It says `ready` once, answers each request by its id, and tells its progress when it was asked to.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { ErrorDetail, TransferErrorCode } from '../../errors.ts'
import { TransferError } from '../../errors.ts'
import type { Span } from '../span.ts'
import { FileHasher, type HashedFile } from './file-hasher.ts'

/** What the thread is started with. */
export interface DigestWorkerOptions extends HashedFile {
  readonly tellsProgress: boolean
}

/** To the thread. */
export type DigestRequest =
  | { readonly type: 'advance'; readonly end: number }
  | { readonly type: 'reset' }
  | { readonly type: 'close'; readonly id: number }
  | { readonly type: 'finish'; readonly id: number; readonly size: number | undefined }
  | {
      readonly type: 'digest-span'
      readonly id: number
      readonly algorithm: string
      readonly span: Span
    }

/** From the thread. */
export type DigestReply =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: DigestFailure }

/** An error, whose class and fields do not get through a message by themselves. */
export interface DigestFailure {
  /** Undefined for one that is not TransferError. */
  readonly code: TransferErrorCode | undefined
  readonly message: string
  readonly detail: ErrorDetail
  readonly cause: unknown
}

// Some 250 a second at the speed of SHA-256.
const PROGRESS_STEP_BYTES = 4_194_304

const port = parentPort as NonNullable<typeof parentPort>
const options = workerData as DigestWorkerOptions
let position = 0
let toldPosition = 0
const hasher = new FileHasher(options, options.tellsProgress ? noteProgress : undefined)

port.on('message', (request: DigestRequest) => {
  switch (request.type) {
    case 'advance':
      hasher.advance(request.end)
      return
    case 'reset':
      void hasher.reset()
      return
    case 'close':
      void answer(request.id, hasher.close())
      return
    case 'finish':
      void answer(request.id, hasher.finish(request.size))
      return
    case 'digest-span':
      void answer(request.id, hasher.digestSpan(request.algorithm, request.span))
      return
    default:
      request satisfies never
  }
})
send({ type: 'ready' })

async function answer(id: number, work: Promise<unknown>): Promise<void> {
  try {
    const value = await work
    if (position > toldPosition) tellProgress()
    send({ type: 'done', id, value })
  } catch (error) {
    send({ type: 'failed', id, error: toFailure(error) })
  }
}

function noteProgress(bytes: number): void {
  position = bytes
  // It goes back when the hasher begins anew.
  if (Math.abs(position - toldPosition) >= PROGRESS_STEP_BYTES) tellProgress()
}

function tellProgress(): void {
  toldPosition = position
  send({ type: 'progress', bytes: position })
}

function toFailure(error: unknown): DigestFailure {
  const { message, cause } = error as Error
  if (!(error instanceof TransferError)) return { code: undefined, message, detail: {}, cause }
  return { code: error.code, message, detail: error.detail, cause }
}

function send(reply: DigestReply): void {
  port.postMessage(reply)
}
