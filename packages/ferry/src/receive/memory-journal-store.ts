/** A journal store in memory: for tests, and for uploads that need not outlive the process. */
import type { JournalStore, UploadJournal } from './journal-store.ts'

/** Keeps records as long as it lives, as text: what is read is what a disk would give. */
export class MemoryJournalStore implements JournalStore {
  readonly #journals = new Map<string, string[]>()

  create(id: string, header: object): Promise<void> {
    if (this.#journals.has(id)) return Promise.reject(new Error(`There is a journal ${id} already`))
    this.#journals.set(id, [JSON.stringify(header)])
    return Promise.resolve()
  }

  open(id: string): Promise<UploadJournal> {
    const lines = this.#journals.get(id)
    if (lines === undefined) return Promise.reject(new Error(`There is no journal ${id}`))
    return Promise.resolve({
      append(records: readonly object[]) {
        for (const record of records) lines.push(JSON.stringify(record))
        return Promise.resolve()
      },
      close: () => Promise.resolve(),
    })
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#journals.keys()])
  }

  recover(id: string): Promise<unknown[]> {
    const lines = this.#journals.get(id) ?? []
    return Promise.resolve(lines.map((line): unknown => JSON.parse(line)))
  }

  remove(id: string): Promise<void> {
    this.#journals.delete(id)
    return Promise.resolve()
  }
}
