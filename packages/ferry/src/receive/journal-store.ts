/**
 * Where it is noted what is known of each upload: the port. A disk and a memory implement it; one
 * suite of tests (journal-store.contract.test.ts) says what both promise. Knows nothing of what the
 * records mean.
 */

/** Keeps a journal for each upload under its id. */
export interface JournalStore {
  /** Makes a journal with its first record, both of which survive a power cut. */
  create(id: string, header: object): Promise<void>
  /** Whoever opens a journal closes it. */
  open(id: string): Promise<UploadJournal>
  /** Ids of all journals. */
  list(): Promise<string[]>
  /** The records up to a torn tail, which is cut off; none when not even the first is whole. */
  recover(id: string): Promise<unknown[]>
  /** None of that id is no error. */
  remove(id: string): Promise<void>
}

/** An open journal. */
export interface UploadJournal {
  /**
   * Adds records: all of them, or after a crash or failure the first few, never a half one.
   * After a failure this one takes no more; a journal opened anew does.
   */
  append(records: readonly object[], options: AppendOptions): Promise<void>
  close(): Promise<void>
}

export interface AppendOptions {
  /** Resolve only when the records survive a power cut. */
  readonly durable: boolean
}
