/** Lets so many work at the same time, in the order in which they come; the others wait. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Resolves when it is one's turn; whoever had it ends it. */
  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        const next = this.#waiting.shift()
        if (next === undefined) this.#free++
        else next()
      },
    }
  }
}
