/**
 * Keeps files of one name from being sent to a server of IndexedCP at the same time: those that exist
 * know a file by the last segment of its name alone, and would mix what comes.
 */
import type { SendJob } from './send-run.ts'
import type { SendOptions } from './send-options.ts'

/** The files of one run that are under way. */
export class SendOrder {
  readonly #protocol: SendOptions['protocol']
  /** By server and file name: settles when the last one that was begun has ended. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** @param options what is spoken, where that was said */
  constructor({ protocol }: Pick<SendOptions, 'protocol'>) {
    this.#protocol = protocol
  }

  /** The same job, which waits for those of its name that were begun before it. */
  guard(job: SendJob): SendJob {
    if (!this.#concerns(job)) return job
    const key = `${job.url.href}\0${fileNameOf(job)}`
    return {
      ...job,
      send: async (options, onStart) => {
        const before = this.#last.get(key)
        const sending = (async () => {
          await before
          return await job.send(options, onStart)
        })()
        const ended = sending.catch(() => {})
        this.#last.set(key, ended)
        try {
          return await sending
        } finally {
          if (this.#last.get(key) === ended) this.#last.delete(key)
        }
      },
    }
  }

  /** Whether it may be IndexedCP that is spoken: without a word of it, only at this path. */
  #concerns({ url }: SendJob): boolean {
    if (this.#protocol !== undefined) return this.#protocol === 'indexedcp'
    return /\/upload\/?(\?|$)/.test(url.target)
  }
}

function fileNameOf({ name }: SendJob): string {
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
}
