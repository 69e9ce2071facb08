/** What IndexedCP servers tell of an upload, and what is noted of one. */
import {
  type IndexedCpStatus,
  readStatus,
  statusUrl,
} from '../protocol/upload/indexedcp-messages.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { statusError, type UploadHttp } from './upload-http.ts'
import type { NoteState, UploadJob } from './upload-protocol.ts'

/** The size of a chunk by the protocol's documents. */
export const DEFAULT_CHUNK_BYTES = 1_048_576

/** Answers that say nothing of whether there is a status. */
const UNDECIDED: ReadonlySet<number> = new Set([401, 403, 408, 429])

/**
 * Asks for the status of an upload.
 * @throws {HttpStatusError} when the server cannot say, or does not want to say it to us
 */
export async function askStatus(
  {
    http,
    endpoint,
    source,
  }: { readonly http: UploadHttp } & Pick<UploadJob, 'endpoint' | 'source'>,
  uploadId: string | undefined,
  signal: AbortSignal,
): Promise<IndexedCpStatus> {
  const url = HttpUrl.parse(statusUrl(endpoint.href, source.name, uploadId))
  const answer = await http.request({ method: 'GET', url, signal })
  const { status, text } = answer
  if (UNDECIDED.has(status) || (status >= 500 && status !== 501)) {
    throw statusError(`ask for the status of uploads at ${endpoint.label}`, answer)
  }
  return readStatus(status, text)
}

/** The id that an earlier run has noted. */
export function readIdNote(saved: NoteState | undefined): string | undefined {
  const id = saved?.['id']
  return typeof id === 'string' ? id : undefined
}
