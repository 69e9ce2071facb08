/**
 * The outbox in one file of SQLite, which survives the end of the process and a power cut, and which
 * several processes may use at a time. The database itself works in a thread of its own.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { syncFolder } from '../transfer/files.ts'
import { DoneQueue, type HeldItem } from './done-queue.ts'
import { DEFAULT_LEASE_MS, type LeaseTime } from './lease-state.ts'
import type { Holding } from './outbox-database.ts'
import { outboxError } from './sqlite-errors.ts'
import { OutboxStager } from './outbox-stager.ts'
import { OutboxThread } from './outbox-thread.ts'
import type {
  LeaseOptions,
  NewItem,
  Outbox,
  OutboxAddOptions,
  OutboxItem,
  OutboxLease,
  OutboxPart,
} from './outbox.ts'
import { identifyProcess } from './process-identity.ts'

/** Which outbox is opened. */
export interface SqliteOutboxOptions {
  /** The file. @defaultValue `~/.indexcp/<name>.db` */
  readonly path?: string | undefined
  /** @defaultValue indexcp */
  readonly name?: string | undefined
  /** How long a call waits for other processes before it fails with `locked`. @defaultValue 10,000 ms */
  readonly busyTimeoutMs?: number | undefined
  /** Epoch ms. @defaultValue Date.now */
  readonly now?: (() => number) | undefined
  /** Milliseconds since the system was started, or some such moment. @defaultValue the system's */
  readonly uptimeMs?: (() => number) | undefined
}

const BUSY_TIMEOUT_MS = 10_000

/**
 * Where the outbox of a name is kept, as the Python client of IndexedCP has it.
 * @throws {ConfigError} when the name cannot be that of a file
 */
export function defaultOutboxPath(name = 'indexcp'): string {
  // Also what Windows takes for a folder or a drive.
  if (name !== '' && !/[/\\:\0]/.test(name)) return join(homedir(), '.indexcp', `${name}.db`)
  throw new ConfigError('name', `Cannot name an outbox ${JSON.stringify(name)}`)
}

/**
 * Opens the outbox of a file, which is made when it is not there, with its folder, for their owner
 * alone. Tables of others in it are left alone. Whoever opens it closes it.
 * @throws {TransferError} `outbox-unusable`: the file is damaged, no database, or of a newer Ferry;
 * `locked`, `not-writable`, `no-space`, `disk-failed`
 */
export async function openSqliteOutbox(options: SqliteOutboxOptions = {}): Promise<Outbox> {
  const path = resolve(options.path ?? defaultOutboxPath(options.name))
  await createFile(path)
  const thread = new OutboxThread({ path, busyTimeoutMs: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS })
  const outbox = new SqliteOutbox(thread, options)
  try {
    await outbox.sweep()
  } catch (error) {
    await thread.close().catch(() => {})
    throw error
  }
  return outbox
}

class SqliteOutbox implements Outbox {
  readonly #thread: OutboxThread
  readonly #now: () => number
  readonly #uptimeMs: () => number
  readonly #boot = identifyProcess().boot
  /** Of what is being added and sent. */
  readonly #tokens = new Set<string>()
  readonly #done: DoneQueue = new DoneQueue((items) =>
    this.#thread.call('done', 'remove items of the outbox', { args: [items] }),
  )

  constructor(thread: OutboxThread, options: SqliteOutboxOptions) {
    this.#thread = thread
    this.#now = options.now ?? Date.now
    this.#uptimeMs = options.uptimeMs ?? systemUptimeMs
  }

  async sweep(): Promise<void> {
    await this.#thread.call('sweep', 'open the outbox', { args: [this.#time()] })
  }

  async add(
    items: Iterable<NewItem> | AsyncIterable<NewItem>,
    options: OutboxAddOptions = {},
  ): Promise<OutboxItem[]> {
    const token = randomUUID()
    const attempt = 'add to the outbox'
    const holding = (): Holding => this.#holding(token, DEFAULT_LEASE_MS)
    const stager = new OutboxStager((steps) => {
      const transfer = steps.flatMap(({ part }) => (part === undefined ? [] : [part.buffer]))
      return this.#thread.call('stage', attempt, { args: [holding(), steps], transfer })
    }, options)
    options.signal?.throwIfAborted()
    this.#tokens.add(token)
    // What does not come for long, from a stream say, is still being added.
    const renewing = setInterval(() => {
      this.#thread.call('touch', attempt, { args: [holding()] }).catch(() => {
        // The next step tells.
      })
    }, DEFAULT_LEASE_MS / 3)
    renewing.unref()
    try {
      await this.#thread.call('begin', attempt, { args: [holding()] })
      for await (const item of items) await stager.add(item)
      await stager.flush()
      options.signal?.throwIfAborted()
      const added = await this.#thread.call('keep', attempt, { args: [holding()] })
      this.#tokens.delete(token)
      return added
    } catch (error) {
      // What could not be written may not be cleared away at once either; it is when its time is over.
      await this.release(token).catch(() => {})
      throw error
    } finally {
      clearInterval(renewing)
    }
  }

  list(): Promise<OutboxItem[]> {
    return this.#thread.call('list', 'list the outbox', { args: [this.#time()] })
  }

  get(id: string): Promise<OutboxItem | undefined> {
    return this.#thread.call('get', 'read the outbox', { args: [id, this.#time()] })
  }

  async lease(id: string, options: LeaseOptions = {}): Promise<OutboxLease | undefined> {
    const { durationMs = DEFAULT_LEASE_MS } = options
    const token = randomUUID()
    const holding = this.#holding(token, durationMs)
    this.#tokens.add(token)
    const item = await this.#thread.call('lease', 'take an item of the outbox', {
      args: [id, holding],
    })
    if (item === undefined) {
      this.#tokens.delete(token)
      return undefined
    }
    return new SqliteOutboxLease(this, this.#thread, {
      item,
      token,
      holding: () => this.#holding(token, durationMs),
    })
  }

  remove(id: string): Promise<boolean> {
    return this.#thread.call('remove', 'remove an item of the outbox', {
      args: [id, this.#time()],
    })
  }

  async close(): Promise<void> {
    const tokens = [...this.#tokens]
    this.#tokens.clear()
    if (tokens.length > 0) {
      await this.#thread.call('release', 'close the outbox', { args: [tokens] }).catch(() => {
        // They end by themselves.
      })
    }
    await this.#thread.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Ends a holding of this outbox. */
  async release(token: string): Promise<void> {
    if (!this.#tokens.delete(token)) return
    await this.#thread.call('release', 'give back an item of the outbox', { args: [[token]] })
  }

  /** Removes an item for who has it. */
  async done(item: HeldItem): Promise<void> {
    await this.#done.add(item)
    this.#tokens.delete(item.token)
  }

  #holding(token: string, durationMs: number): Holding {
    return { token, time: this.#time(), durationMs }
  }

  #time(): LeaseTime {
    return { wallMs: this.#now(), uptimeMs: this.#uptimeMs(), boot: this.#boot }
  }
}

class SqliteOutboxLease implements OutboxLease {
  readonly #outbox: SqliteOutbox
  readonly #thread: OutboxThread
  readonly #token: string
  readonly #holding: () => Holding
  #item: OutboxItem

  constructor(
    outbox: SqliteOutbox,
    thread: OutboxThread,
    lease: { item: OutboxItem; token: string; holding: () => Holding },
  ) {
    this.#outbox = outbox
    this.#thread = thread
    this.#item = lease.item
    this.#token = lease.token
    this.#holding = lease.holding
  }

  get item(): OutboxItem {
    return this.#item
  }

  renew(): Promise<void> {
    return this.#thread.call('renew', 'keep an item of the outbox', {
      args: [this.#item.id, this.#holding()],
    })
  }

  readPart(index: number): Promise<OutboxPart> {
    return this.#thread.call('readPart', 'read the outbox', {
      args: [this.#item.id, this.#token, index],
    })
  }

  async dropParts(offset: number): Promise<void> {
    const keptFrom = await this.#thread.call('dropParts', 'clear parts of the outbox', {
      args: [this.#item.id, this.#token, offset],
    })
    const { content } = this.#item
    if (content.mode === 'stored') this.#item = { ...this.#item, content: { ...content, keptFrom } }
  }

  async setNote(note: unknown): Promise<void> {
    await this.#thread.call('setNote', 'keep a note in the outbox', {
      args: [this.#item.id, this.#token, JSON.stringify(note) ?? 'null'],
    })
    this.#item = { ...this.#item, note }
  }

  async done(): Promise<void> {
    await this.#outbox.done({ id: this.#item.id, token: this.#token })
  }

  release(): Promise<void> {
    return this.#outbox.release(this.#token)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

/** Monotonic, and the same for all processes; `performance.now()` begins anew for each. */
function systemUptimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

async function createFile(path: string): Promise<void> {
  const folder = dirname(path)
  try {
    const made = await makeFolder(folder)
    // Only when it is new: to close another descriptor of an open file would drop SQLite's locks.
    const file = await open(path, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EEXIST') throw cause
    })
    if (file === undefined) return
    await file.close()
    await syncFolder(folder)
    if (made !== undefined) await syncFolder(dirname(made))
  } catch (cause) {
    throw outboxError(`Cannot open the outbox ${path}`, cause)
  }
}

/** The first folder that had to be made, as mkdir() tells it. */
async function makeFolder(path: string): Promise<string | undefined> {
  return await mkdir(path, { recursive: true, mode: 0o700 }).catch(
    (cause: NodeJS.ErrnoException) => {
      // Something of that name is there, and no folder.
      if (cause.code === 'EEXIST') cause.code = 'ENOTDIR'
      throw cause
    },
  )
}
