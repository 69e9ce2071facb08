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
  readonly closed: PromiseWithResolvers<void>
}

// Systems give a process 1,024 descriptors at least.
const MAX_IDLE = 64

/** Lends open files, one of each id. */
export class FilePool<File extends Closable> {
  readonly #open: (id: string) => Promise<File>
  /** Least recently used first. */
  readonly #loans = new Map<string, Loan<File>>()
  /** Those that are not closed yet, retired ones too. */
  readonly #unclosed = new Set<Loan<File>>()
  #isClosed = false
  #idle = 0

  constructor(open: (id: string) => Promise<File>) {
    this.#open = open
  }

  /**
   * Lends a file for as long as the work takes.
   * @throws {Error} when the pool is closed
   */
  async use<Result>(id: string, work: (file: File) => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw new Error(`Cannot use the files of upload ${id}: they are closed`)
    const loan = this.#take(id)
    try {
      return await work(await loan.file)
    } finally {
      this.#giveBack(loan)
    }
  }

  /** Takes over a file that was just made, to be lent under an id that is not known yet. */
  adopt(id: string, file: File): void {
    const loan = this.#keep(Promise.resolve(file))
    this.#loans.set(id, loan)
    loan.users++
    if (this.#isClosed) this.retire(id)
    this.#giveBack(loan)
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

  /** Lends nothing more, and resolves when everything is given back and closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const id of [...this.#loans.keys()]) this.retire(id)
    await Promise.all([...this.#unclosed].map(({ closed }) => closed.promise))
  }

  #take(id: string): Loan<File> {
    const found = this.#loans.get(id)
    const loan = found ?? this.#keep(this.#open(id))
    if (found?.users === 0) this.#idle--
    loan.users++
    this.#loans.delete(id)
    this.#loans.set(id, loan)
    // One that could not be opened is tried again by the next.
    if (found === undefined) loan.file.catch(() => this.#drop(id, loan))
    return loan
  }

  #keep(file: Promise<File>): Loan<File> {
    const closed = Promise.withResolvers<void>()
    const loan = { file, users: 0, isRetired: false, closed }
    this.#unclosed.add(loan)
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

  #close(loan: Loan<File>): void {
    void loan.file
      .then((opened) => opened.close())
      // What was to be kept is synced; a file that does not close has nothing more to tell.
      .catch(() => {})
      .then(() => {
        this.#unclosed.delete(loan)
        loan.closed.resolve()
      })
  }
}
