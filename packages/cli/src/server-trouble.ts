/** Keeps a run from trying each of its files with a server that takes none of them. */
import { isFerryError } from 'ferry/errors'
import type { SendJob } from './send-run.ts'

// Who asks is not known to the server, or to a proxy (RFC 9110 §15.5.2, §15.5.8).
const REFUSED: ReadonlySet<unknown> = new Set([401, 407])
const UNREACHABLE: ReadonlySet<string> = new Set([
  'resolve-failed',
  'connect-failed',
  'tls-failed',
  'proxy-failed',
])

/** The servers of one run that could not be reached, let nobody in, or take no uploads there. */
export class ServerTrouble {
  /** By origin, and by URL where another path of the server may take what this one does not. */
  readonly #errors = new Map<string, Error>()

  /** The same job, which fails at once, with the same error, after another has found its server so. */
  guard(job: SendJob): SendJob {
    const { href, origin } = job.url
    return {
      ...job,
      send: (options, onStart) => {
        const known = this.#errors.get(origin.key) ?? this.#errors.get(href)
        return known === undefined ? job.send(options, onStart) : Promise.reject(known)
      },
      afterFailure: async (error) => {
        const key = isFerryError(error, 'config') ? href : origin.key
        if (isTrouble(error)) this.#errors.set(key, error)
        return await job.afterFailure?.(error)
      },
    }
  }
}

/** Whether other files would fare the same, each after as long. Pure. */
export function isTrouble(error: Error): boolean {
  if (!isFerryError(error)) return false
  const { code, detail } = error
  const { status, option, phase } = detail
  if (status !== undefined) return REFUSED.has(status)
  if (code === 'timeout') return phase === 'connect'
  if (code === 'config') return option === 'key' || option === 'protocol'
  return UNREACHABLE.has(code)
}
