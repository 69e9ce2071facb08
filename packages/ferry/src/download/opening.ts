/**
 * The first request of a download that has to know what the server says before it can begin: what the
 * file is called, or whether it is newer than the one that is here. Its response is not lost: its
 * content is the first that is written.
 */
import type { RequestClient } from '../client/http-client.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import { suggestFileName } from './naming/file-name.ts'
import type { Remote } from './remotes.ts'
import { statusError } from './span-fetcher.ts'

/** What the server has answered; whoever gets it takes or cancels the content. */
export interface Opening {
  readonly response: HttpResponse
  /** Who has answered. */
  readonly remote: Remote
  /** What the file is to be called. */
  readonly name: string
  /** The server has nothing newer (RFC 9110 §15.4.5). */
  readonly isNotModified: boolean
}

/** Asks the first remote that answers. */
export async function openDownload(
  remotes: readonly Remote[],
  options: {
    readonly client: RequestClient
    readonly headers: HeaderFields
    readonly maxRetries: number
    /** When what is here was modified, in epoch ms. */
    readonly modifiedAt: number | undefined
    readonly signal: AbortSignal
  },
): Promise<Opening> {
  let failure: unknown
  for (const remote of remotes) {
    try {
      return await openRemote(remote, options)
    } catch (error) {
      if (options.signal.aborted) throw error
      failure ??= error
      if (remotes.length > 1) remote.error = error as Error
    }
  }
  throw failure
}

async function openRemote(
  remote: Remote,
  { client, headers, maxRetries, modifiedAt, signal }: Parameters<typeof openDownload>[1],
): Promise<Opening> {
  const { url } = remote
  let fields = headers.with('Accept-Encoding', 'identity')
  if (modifiedAt !== undefined) {
    fields = fields.with('If-Modified-Since', new Date(modifiedAt).toUTCString())
  }
  const response = await client.send(new HttpRequest('GET', url, { headers: fields }), {
    signal,
    retries: maxRetries,
    timeoutMs: Number.POSITIVE_INFINITY,
    decompress: false,
  })
  const isNotModified = response.status === 304 && modifiedAt !== undefined
  if (!isNotModified && response.status !== 200) {
    response.body.cancel()
    throw statusError(response)
  }
  const disposition = response.headers.get('content-disposition')
  const name = suggestFileName({ disposition, url: response.url })
  return { response, remote, isNotModified, name }
}
