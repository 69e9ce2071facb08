/** Permits to run a request: a counted one gives its place back once. */

/** The right to run one request. To be released when its response has ended, however it ended. */
export interface Permit extends Disposable {
  /** Gives it back; a second time has no effect. */
  release(): void
}

/** For when nothing is counted: one for all. */
export const FREE_PERMIT: Permit = { release: () => {}, [Symbol.dispose]: () => {} }

/** One of a limited number. */
export class CountedPermit implements Permit {
  #giveBack: (() => void) | undefined

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack
  }

  release(): void {
    const giveBack = this.#giveBack
    this.#giveBack = undefined
    giveBack?.()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
