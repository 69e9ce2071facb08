/** Uncaught exceptions of the process, gathered instead of failing the run of tests. */
export class UncaughtErrors implements Disposable {
  readonly errors: unknown[] = []
  readonly #others = process.listeners('uncaughtException')
  readonly #collect = (error: unknown): void => void this.errors.push(error)

  constructor() {
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', this.#collect)
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#collect)
    for (const other of this.#others) process.on('uncaughtException', other)
  }
}
