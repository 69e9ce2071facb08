/**
 * The thread in which an outbox's database does its blocking work: it takes one call after the other,
 * and clears up while there are none. `outbox-thread.ts` is the other end.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { ErrorDetail } from '../errors.ts'
import { OutboxConnection } from './outbox-connection.ts'
import { OutboxDatabase } from './outbox-database.ts'
import { outboxError } from './sqlite-errors.ts'
import type { ThreadCall, ThreadOptions, ThreadReply } from './outbox-thread.ts'

const { path, busyTimeoutMs } = workerData as ThreadOptions
const port = parentPort
let database: OutboxDatabase | undefined
let trimming: NodeJS.Immediate | undefined

port?.on('message', (message: ThreadCall) => {
  const reply = answer(message)
  port.postMessage(reply, transferablesOf(reply))
  if (message.method === 'close') {
    clearImmediate(trimming)
    port.close()
  } else if (database?.isUntrimmed === true) {
    trimming ??= setImmediate(trim)
  }
})

/** The file is opened by the first call, which tells when that fails. */
function answer({ call, attempt, method, args }: ThreadCall): ThreadReply {
  try {
    database ??= new OutboxDatabase(new OutboxConnection(path, busyTimeoutMs))
    const work = database[method] as (...args: readonly unknown[]) => unknown
    return { call, result: work.apply(database, [...args]) }
  } catch (cause) {
    const error = outboxError(attempt, cause)
    const { code, detail } = error as { code?: string; detail?: ErrorDetail }
    return { call, error: { name: error.name, code, message: error.message, detail } }
  }
}

function trim(): void {
  trimming = undefined
  try {
    if (database?.trim() === true) trimming = setImmediate(trim)
  } catch {
    // Whatever is wrong with the file the next call tells; what is left is cleared away after that.
  }
}

/** Bytes change hands without being copied. */
function transferablesOf({ result }: ThreadReply): ArrayBuffer[] {
  if (Array.isArray(result)) return result.filter((value) => value instanceof ArrayBuffer)
  const bytes = (result as { bytes?: unknown } | undefined)?.bytes
  return bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : []
}
