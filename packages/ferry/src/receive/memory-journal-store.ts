/** A journal store in memory: for tests, and for uploads that need not outlive the process. */
import type { JournalStore, UploadJournal } from './journal-store.ts'

/** Keeps records as long as it lives, as text: what is read is what a disk would give. */
export class MemoryJournalStore implements JournalStore {
  readonly #journals = new Map<string, MemoryJournal>()

  async create(id: string, header: object): Promise<UploadJournal> {
    if (this.#journals.has(id)) throw new Error(`There is a journal ${id} already`)
    await this.rewrite(id, [header])
    return await this.open(id)
  }

  open(id: string): Promise<UploadJournal> {
    const journal = this.#journals.get(id)
    return journal === undefined
      ? Promise.reject(new Error(`There is no journal ${id}`))
      : Promise.resolve(journal)
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#journals.keys()])
  }

  recover(id: string): Promise<unknown[]> {
    const lines = this.#journals.get(id)?.lines ?? []
    return Promise.resolve(lines.map((line): unknown => JSON.parse(line)))
  }

  rewrite(id: string, records: readonly object[]): Promise<void> {
    const journal = new MemoryJournal()
    this.#journals.set(id, journal)
    return journal.append(records)
  }

  remove(id: string): Promise<void> {
    this.#journals.delete(id)
    return Promise.resolve()
  }
}

class MemoryJournal implements UploadJournal {
  readonly lines: string[] = []
  size = 0

  append(records: readonly object[]): Promise<void> {
    for (const record of records) {
      const line = JSON.stringify(record)
      this.lines.push(line)
      this.size += line.length
    }
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
