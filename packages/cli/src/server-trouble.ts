/** Keeps a run from trying each of its files with a server that takes none of them. */
import { isFerryError } from 'ferry/errors'
import type { SendJob } from './send-run.ts'

const UNAUTHORIZED = 401
const PROXY_AUTHENTICATION_REQUIRED = 407
/** What does not come from the file that was sent. */
const CODES: ReadonlySet<string> = new Set([
  'resolve-failed',
  'connect-failed',
  'tls-failed',
  'proxy-failed',
])

/** The servers of one run that could not be reached, or let nobody in. */
export class ServerTrouble {
  readonly #errors = new Map<string, Error>()

  /** The same job, which fails at once, with the same error, after another has found its server so. */
  guard(job: SendJob): SendJob {
    const { key } = job.url.origin
    return {
      ...job,
      send: (options, onStart) => {
        const known = this.#errors.get(key)
        return known === undefined ? job.send(options, onStart) : Promise.reject(known)
      },
      afterFailure: async (error) => {
        if (isTrouble(error)) this.#errors.set(key, error)
        return await job.afterFailure?.(error)
      },
    }
  }
}

/** Whether other files would fare the same. Pure. */
export function isTrouble(error: Error): boolean {
  if (!isFerryError(error)) return false
  const { status, option } = error.detail
  if (status !== undefined)
    return status === UNAUTHORIZED || status === PROXY_AUTHENTICATION_REQUIRED
  return CODES.has(error.code) || (error.code === 'config' && option === 'key')
}
