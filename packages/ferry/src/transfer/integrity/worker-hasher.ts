/**
 * A FileHasher on a thread of its own. The thread keeps the process alive only while somebody waits
 * for an answer.
 */
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { TransferError } from '../../errors.ts'
import type { Span } from '../span.ts'
import type {
  DigestFailure,
  DigestReply,
  DigestRequest,
  DigestWorkerOptions,
} from './digest-worker.ts'
import type { FileHasher, HashedFile } from './file-hasher.ts'

// Our sources run as they are, in TypeScript; what is installed is JavaScript.
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
// The thread holds little but its modules; V8 would reserve for a program.
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** See FileHasher; to be closed. */
export class WorkerHasher implements Pick<FileHasher, keyof FileHasher> {
  readonly #path: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #failure: Error | undefined
  #closing: Promise<void> | undefined

  /**
   * Starts the thread.
   * @throws {Error} when that cannot be done: threads can be forbidden, or too many
   */
  static async start(
    file: HashedFile,
    onProgress?: (bytes: number) => void,
  ): Promise<WorkerHasher> {
    const threads = await import('node:worker_threads')
    const url = new URL(`./digest-worker.${EXTENSION}`, import.meta.url)
    const workerData: DigestWorkerOptions = { ...file, tellsProgress: onProgress !== undefined }
    const worker = new threads.Worker(url, {
      workerData,
      execArgv: [],
      resourceLimits: RESOURCE_LIMITS,
    })
    // The first message says that it is ready.
    await once(worker, 'message')
    return new WorkerHasher(file.path, worker, onProgress)
  }

  private constructor(
    path: string,
    worker: Worker,
    onProgress: ((bytes: number) => void) | undefined,
  ) {
    this.#path = path
    this.#worker = worker
    worker.on('message', (reply: DigestReply) => {
      if (reply.type === 'progress') onProgress?.(reply.bytes)
      if (reply.type === 'done') this.#settle(reply.id)?.resolve(reply.value)
      if (reply.type === 'failed') this.#settle(reply.id)?.reject(toError(reply.error))
    })
    worker.on('error', (error: Error) => this.#fail(error))
    // After the listeners: one for messages takes the thread as wanted again.
    worker.unref()
  }

  advance(end: number): void {
    this.#send({ type: 'advance', end })
  }

  async finish(size?: number): Promise<ReadonlyMap<string, string>> {
    const digests = await this.#ask((id) => ({ type: 'finish', id, size }))
    return digests as ReadonlyMap<string, string>
  }

  async digestSpan(algorithm: string, span: Span): Promise<string> {
    return (await this.#ask((id) => ({ type: 'digest-span', id, algorithm, span }))) as string
  }

  reset(): Promise<void> {
    this.#send({ type: 'reset' })
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const abandoned = [...this.#waiting.keys()]
    // A thread that is stopped while it opens a file would leave it open.
    const closed = this.#ask((id) => ({ type: 'close', id })).catch(() => {})
    this.#failure ??= new TypeError(`Cannot give a digest of ${this.#path}: it was abandoned`)
    for (const id of abandoned) this.#settle(id)?.reject(this.#failure)
    await closed
    await this.#worker.terminate()
  }

  #ask(toRequest: (id: number) => DigestRequest): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure)
        return
      }
      this.#waiting.set(id, { resolve, reject })
      this.#worker.ref()
      this.#send(toRequest(id))
    })
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker.unref()
    return waiting
  }

  /** The thread has ended, or is about to. */
  #fail(error: Error): void {
    this.#failure ??= error
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(this.#failure)
  }

  #send(request: DigestRequest): void {
    this.#worker.postMessage(request)
  }
}

function toError(failure: DigestFailure): Error {
  const { code, message, detail, cause } = failure
  if (code === undefined) return new Error(message, { cause })
  return new TransferError(code, message, { detail, cause })
}
