/**
 * An outbox's database in a thread of its own, so that waiting for the disk holds up nobody else. Calls
 * are answered in the order in which they were made.
 *
 * An idle thread does not keep the process alive.
 */
import { Worker } from 'node:worker_threads'
import {
  type ErrorDetail,
  TransferError,
  type TransferErrorCode,
  UploadError,
  type UploadErrorCode,
} from '../errors.ts'
import type { OutboxDatabase } from './outbox-database.ts'

type Method = Exclude<keyof OutboxDatabase, 'trim' | 'isUntrimmed'>

/** What the thread is started with. */
export interface ThreadOptions {
  readonly path: string
  /** How long every call waits for other processes. */
  readonly busyTimeoutMs: number
}

/** What the thread is asked. */
export interface ThreadCall {
  readonly call: number
  /** How the message of an error begins. */
  readonly attempt: string
  readonly method: Method
  readonly args: readonly unknown[]
}

/** What it answers. */
export interface ThreadReply {
  readonly call: number
  readonly result?: unknown
  readonly error?: {
    readonly name: string
    readonly code: string | undefined
    readonly message: string
    readonly detail: ErrorDetail | undefined
  }
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

export class OutboxThread {
  readonly #path: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  /** Why no more calls are answered. */
  #ended: Error | undefined

  constructor(options: ThreadOptions) {
    this.#path = options.path
    this.#worker = new Worker(workerUrl(), { workerData: options, execArgv: [] })
    this.#worker.unref()
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply))
    this.#worker.on('error', (cause: Error) => this.#end(cause))
    this.#worker.on('exit', () => this.#end())
  }

  /** @param attempt what the call is for, behind `Cannot` */
  call<M extends Method>(
    method: M,
    attempt: string,
    { args, transfer = [] }: CallOptions<Parameters<OutboxDatabase[M]>>,
  ): Promise<ReturnType<OutboxDatabase[M]>> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      const call = ++this.#calls
      const message: ThreadCall = {
        call,
        attempt: `Cannot ${attempt} ${this.#path}`,
        method,
        args,
      }
      this.#worker.postMessage(message, transfer)
      this.#waiting.set(call, { resolve: resolve as Waiting['resolve'], reject })
      this.#worker.ref()
    })
  }

  /** Ends the thread after the calls before. Idempotent. */
  async close(): Promise<void> {
    if (this.#ended === undefined) await this.call('close', 'close the outbox', { args: [] })
    this.#end()
    await this.#worker.terminate()
  }

  #settle({ call, result, error }: ThreadReply): void {
    const waiting = this.#waiting.get(call)
    this.#waiting.delete(call)
    if (this.#waiting.size === 0) this.#worker.unref()
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(toError(error))
  }

  #end(cause?: Error): void {
    const attempt = `Cannot use the outbox ${this.#path}`
    this.#ended ??=
      cause === undefined
        ? new TypeError(`${attempt}: it is closed`)
        : new TransferError('disk-failed', `${attempt}: its thread failed`, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}

/** The file beside this one, in source or built. */
function workerUrl(): URL {
  const url = new URL('./outbox-worker.ts', import.meta.url)
  if (import.meta.url.endsWith('.js')) url.pathname = url.pathname.replace(/\.ts$/, '.js')
  return url
}

interface CallOptions<Args extends readonly unknown[]> {
  readonly args: Args
  /** Memory that goes over to the thread. */
  readonly transfer?: ArrayBuffer[]
}

/** Errors lose their class on the way between threads. */
function toError({ name, code, message, detail = {} }: NonNullable<ThreadReply['error']>): Error {
  if (name === 'TransferError')
    return new TransferError(code as TransferErrorCode, message, { detail })
  if (name === 'UploadError') return new UploadError(code as UploadErrorCode, message, { detail })
  if (name === 'RangeError') return new RangeError(message)
  return new Error(message)
}
