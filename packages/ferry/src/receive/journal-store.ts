/**
 * Where it is noted what is known of each upload: the port. A disk and a memory implement it; one
 * suite of tests (journal-store.contract.test.ts) says what both promise. Knows nothing of what the
 * records mean.
 */

/** Keeps a journal for each upload under its id. */
export interface JournalStore {
  /**
   * Makes a journal with its first record, both of which survive a power cut, and opens it; whoever makes
   * it closes it.
   */
  create(id: string, header: object): Promise<UploadJournal>
  /** Whoever opens a journal closes it. */
  open(id: string): Promise<UploadJournal>
  /** Ids of all journals. */
  list(): Promise<string[]>
  /** The records up to a torn tail, which is cut off; none when not even the first is whole. */
  recover(id: string): Promise<unknown[]>
  /**
   * Puts these records in place of all that are there, so that they survive a power cut: a crash
   * leaves the old ones or the new ones, each whole. The journal must not be open.
   */
  rewrite(id: string, records: readonly object[]): Promise<void>
  /** None of that id is no error. */
  remove(id: string): Promise<void>
}

/** An open journal. */
export interface UploadJournal {
  /** Bytes that its records take. */
  readonly size: number
  /**
   * Adds records: all of them, or after a crash or failure the first few, never a half one. One call
   * at a time. After a failure this one takes no more; a journal opened anew does.
   */
  append(records: readonly object[], options: AppendOptions): Promise<void>
  close(): Promise<void>
}

export interface AppendOptions {
  /** Resolve only when the records survive a power cut. */
  readonly durable: boolean
}
