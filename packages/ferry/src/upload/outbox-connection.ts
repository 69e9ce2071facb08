/**
 * One connection to an outbox's file: transactions, how durable they are, and how long they wait for
 * other processes. Knows no table of it.
 */
import { realpathSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { prepareOutbox, readNumber } from './outbox-schema.ts'

/** With NORMAL a commit survives the process but not a power cut, until the next FULL one. */
export type Durability = 'FULL' | 'NORMAL'

export class OutboxConnection {
  /** Of the file itself, and not of a link to it: what is beside it is the same for all. */
  readonly path: string
  readonly #busyTimeoutMs: number
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #durability: Durability = 'FULL'

  /**
   * @param busyTimeoutMs how long every statement waits for other processes
   * @throws what SQLite throws, and {TransferError} `outbox-unusable`
   */
  constructor(path: string, busyTimeoutMs: number) {
    this.#busyTimeoutMs = busyTimeoutMs
    this.#database = new DatabaseSync(path, { timeout: busyTimeoutMs })
    try {
      this.path = realpathSync(path)
      prepareOutbox(this.#database)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** Makes a change as a whole or, when it throws, not at all. */
  transact<T>(durability: Durability, change: () => T): T {
    this.setDurability(durability)
    // The lock for writing first: a reader that becomes a writer may find that it cannot.
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = change()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** For what is a transaction by itself. */
  setDurability(durability: Durability): void {
    if (durability === this.#durability) return
    this.#database.exec(`PRAGMA synchronous = ${durability}`)
    this.#durability = durability
  }

  /** A statement, which is prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#database.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  execute(text: string): void {
    this.#database.exec(text)
  }

  readNumber(text: string): number {
    return readNumber(this.#database, text)
  }

  /** Does what can as well be done later: it fails at once where another process is in the way. */
  withoutWaiting<T>(work: () => T): T {
    this.execute('PRAGMA busy_timeout = 0')
    try {
      return work()
    } finally {
      this.execute(`PRAGMA busy_timeout = ${this.#busyTimeoutMs}`)
    }
  }

  close(): void {
    this.#database.close()
  }
}
