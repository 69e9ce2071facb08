/** Which protocol a server is spoken to with, by its URL and by what it tells. Pure. */
import type { HeaderFields } from '../semantics/header-fields.ts'
import { readLimit } from './ietf-messages.ts'
import type { IndexedCpStatus } from './indexedcp-messages.ts'
import { readTusServer } from './tus-messages.ts'

/** What is known of a server. */
export interface ServerSigns {
  /** Of the URL that uploads go to. */
  readonly path: string
  /** Fields of its answer to OPTIONS; undefined when that was an error. */
  readonly options: HeaderFields | undefined
  /** Its answer to a status query of IndexedCP; undefined when it was not asked. */
  readonly status: IndexedCpStatus | undefined
}

/** Whether a URL is one that only IndexedCP has by its document. */
export function isIndexedCpPath(path: string): boolean {
  return /\/upload\/?$/.test(path)
}

/**
 * Chooses: IndexedCP where it shows itself, else tus, else the IETF's draft, else IndexedCP by the
 * path alone, since its oldest servers tell nothing; undefined when nothing speaks for any.
 */
export function chooseProtocol({
  path,
  options,
  status,
}: ServerSigns): 'indexedcp' | 'tus' | 'ietf' | undefined {
  if (status !== undefined && status.type !== 'none') return 'indexedcp'
  if (options !== undefined && readTusServer(options) !== undefined) return 'tus'
  if (options !== undefined && readLimit(options) !== undefined) return 'ietf'
  return isIndexedCpPath(path) ? 'indexedcp' : undefined
}
