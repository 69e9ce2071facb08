/** Finds out which protocol a server speaks, and makes the one that is chosen. */
import { ConfigError } from '../errors.ts'
import { chooseProtocol, isIndexedCpPath } from '../protocol/upload/choose-protocol.ts'
import type { IndexedCpStatus } from '../protocol/upload/indexedcp-messages.ts'
import { readTusServer } from '../protocol/upload/tus-messages.ts'
import { IetfProtocol } from './ietf-protocol.ts'
import { IndexedCpLegacyProtocol } from './indexedcp-legacy.ts'
import { createUploadId, IndexedCpProtocol } from './indexedcp-protocol.ts'
import { askStatus, readIdNote } from './indexedcp-status.ts'
import { TusProtocol } from './tus-protocol.ts'
import { isSuccess, statusError } from './upload-http.ts'
import {
  UploadGone,
  type UploadJob,
  type UploadProtocol,
  type UploadProtocolName,
} from './upload-protocol.ts'
import type { UploadAnswer } from './upload-wire.ts'

/** Answers to OPTIONS that may be others the next time. */
const UNDECIDED: ReadonlySet<number> = new Set([401, 403, 408, 429, 500, 502, 503, 504])

/**
 * Makes the protocol that is named; without a name, the one that the server speaks.
 * @throws {ConfigError} protocol, when nothing tells which
 * @throws {UploadGone} when what was noted is of a server that has become another one
 */
export async function createProtocol(
  job: UploadJob,
  wanted: UploadProtocolName | undefined,
  signal: AbortSignal,
): Promise<UploadProtocol> {
  if (wanted === 'tus') return new TusProtocol(job)
  if (wanted === 'ietf') return new IetfProtocol(job)
  const id = readIdNote(job.saved) ?? createUploadId()
  if (wanted === 'indexedcp') return indexedCp(job, id, await askStatus(job, id, signal))
  const { endpoint } = job
  const path = endpoint.target.replace(/\?.*$/, '')
  const status = isIndexedCpPath(path) ? await askStatus(job, id, signal) : undefined
  if (status !== undefined && status.type !== 'none') return indexedCp(job, id, status)
  const answer = await askOptions(job, signal)
  const options = isSuccess(answer) ? answer.headers : undefined
  const chosen = chooseProtocol({ path, options, status })
  if (chosen === 'tus') return new TusProtocol(job, options && readTusServer(options))
  if (chosen === 'ietf') return new IetfProtocol(job)
  if (chosen === 'indexedcp') return indexedCp(job, id, status ?? { type: 'none' })
  throw new ConfigError(
    'protocol',
    `Cannot tell how ${endpoint.label} takes uploads: it speaks of neither tus nor the IETF's draft, ` +
      'and its path does not end in /upload as that of IndexedCP does; name the protocol',
  )
}

function indexedCp(job: UploadJob, id: string, status: IndexedCpStatus): UploadProtocol {
  const { saved, endpoint } = job
  const wasIdentified = readIdNote(saved) !== undefined
  const isIdentified = status.type === 'identified'
  if (saved !== undefined && wasIdentified !== isIdentified) {
    throw new UploadGone(`Cannot go on: ${endpoint.label} is another server than before`)
  }
  return isIdentified
    ? new IndexedCpProtocol(job, id, status)
    : new IndexedCpLegacyProtocol(job, status)
}

async function askOptions(
  { http, endpoint }: UploadJob,
  signal: AbortSignal,
): Promise<UploadAnswer> {
  const answer = await http.request({ method: 'OPTIONS', url: endpoint, signal })
  if (UNDECIDED.has(answer.status)) throw statusError(`ask ${endpoint.label} what it takes`, answer)
  return answer
}
