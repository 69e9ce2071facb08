/**
 * Open files of uploads: opened when somebody needs them, kept open for a while, since chunks of one
 * upload come one after another, and never more than a bounded number without a user.
 */

/** What can be lent. */
export interface Closable {
  close(): Promise<void>
}

interface Loan<File> {
  readonly file: Promise<File>
  users: number
  /** Closed by its last user, and opened anew for the next. */
  isRetired: boolean
}

// Systems give a process 1,024 descriptors at least.
const MAX_IDLE = 64

/** Lends open files, one of each id. */
export class FilePool<File extends Closable> {
  readonly #open: (id: string) => Promise<File>
  /** Least recently used first. */
  readonly #loans = new Map<string, Loan<File>>()
  readonly #closing = new Set<Promise<void>>()
  #idle = 0

  constructor(open: (id: string) => Promise<File>) {
    this.#open = open
  }

  /** Lends a file for as long as the work takes. */
  async use<Result>(id: string, work: (file: File) => Promise<Result>): Promise<Result> {
    const loan = this.#take(id)
    try {
      return await work(await loan.file)
    } finally {
      this.#giveBack(loan)
    }
  }

  /** Has a file closed as soon as nobody uses it. */
  retire(id: string): void {
    const loan = this.#loans.get(id)
    if (loan === undefined) return
    loan.isRetired = true
    this.#loans.delete(id)
    if (loan.users > 0) return
    this.#idle--
    this.#close(loan)
  }

  /** Closes everything; nobody may use it any more. */
  async close(): Promise<void> {
    for (const id of [...this.#loans.keys()]) this.retire(id)
    await Promise.all(this.#closing)
  }

  #take(id: string): Loan<File> {
    const found = this.#loans.get(id)
    const loan = found ?? { file: this.#open(id), users: 0, isRetired: false }
    if (found?.users === 0) this.#idle--
    loan.users++
    this.#loans.delete(id)
    this.#loans.set(id, loan)
    // One that could not be opened is tried again by the next.
    if (found === undefined) loan.file.catch(() => this.#drop(id, loan))
    return loan
  }

  #drop(id: string, loan: Loan<File>): void {
    if (this.#loans.get(id) === loan) this.retire(id)
  }

  #giveBack(loan: Loan<File>): void {
    loan.users--
    if (loan.users > 0) return
    if (loan.isRetired) {
      this.#close(loan)
      return
    }
    this.#idle++
    for (const [other, { users }] of this.#loans) {
      if (this.#idle <= MAX_IDLE) break
      if (users === 0) this.retire(other)
    }
  }

  #close({ file }: Loan<File>): void {
    const closing = file
      .then((opened) => opened.close())
      // What was to be kept is synced; a file that does not close has nothing more to tell.
      .catch(() => {})
      .then(() => {
        this.#closing.delete(closing)
      })
    this.#closing.add(closing)
  }
}
