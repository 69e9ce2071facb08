/** Ends a command when it is told to: the first signal in good order, the second at once. */
import { Interruption } from './fetch-failure.ts'

// The last when the terminal goes away.
const STOPPING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Signals to this process, for one command; disposing of it leaves them to others. */
export class StopSignals implements Disposable {
  readonly #stopping = new AbortController()

  constructor() {
    for (const name of STOPPING_SIGNALS) process.on(name, this.interrupt)
  }

  /** Aborted with an {Interruption}. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** As if the signal had come from outside: Ctrl-C comes as a character where a secret is typed. */
  readonly interrupt = (name: NodeJS.Signals): void => {
    if (this.#stopping.signal.aborted) process.exit(new Interruption(name).exitCode)
    this.#stopping.abort(new Interruption(name))
  };

  [Symbol.dispose](): void {
    for (const name of STOPPING_SIGNALS) process.off(name, this.interrupt)
  }
}
