/**
 * The outbox in one file of SQLite, which survives the end of the process and a power cut, and which
 * several processes may use at a time. The database itself works in a thread of its own.
 */
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { syncFolder } from '../transfer/files.ts'
import { makeFolders } from '../transfer/make-folders.ts'
import { BatchQueue } from './batch-queue.ts'
import { checkLeaseDuration, DEFAULT_LEASE_MS, type LeaseTime } from './lease-state.ts'
import type { ChangeOutcome, HeldItem, Holding, ItemChange } from './outbox-database.ts'
import { itemGone, leaseLost } from './outbox-errors.ts'
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
  if (name === '' || /[/\\:\0]/.test(name)) {
    throw new ConfigError('name', `Cannot name an outbox ${JSON.stringify(name)}`)
  }
  // An empty HOME would mean the folder that we happen to be in.
  const home = homedir() === '' ? userInfo().homedir : homedir()
  return join(home, '.indexcp', `${name}.db`)
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
  /** Of what is given back; it may have to wait for other processes. */
  readonly #released = new Set<string>()
  readonly #changes = new BatchQueue<ItemChange, ChangeOutcome>((changes) =>
    this.#thread.call('change', 'change items of the outbox', { args: [changes] }),
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
      // What could not be written may not be cleared away at once either; it is with the next call.
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
    const durationMs = checkLeaseDuration(options.durationMs)
    const token = randomUUID()
    await this.#giveBack()
    const holding = this.#holding(token, durationMs)
    this.#tokens.add(token)
    const item = await this.#changes.add({ type: 'lease', id, holding })
    if (typeof item === 'string') {
      this.#tokens.delete(token)
      return undefined
    }
    return new SqliteOutboxLease(this, this.#thread, {
      item,
      token,
      holding: () => this.#holding(token, durationMs),
    })
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#changes.add({ type: 'remove', id, time: this.#time() })) === 'done'
  }

  async close(): Promise<void> {
    for (const token of this.#tokens) this.#released.add(token)
    this.#tokens.clear()
    await this.#giveBack().catch(() => {
      // They end by themselves.
    })
    await this.#thread.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Ends a holding of this outbox; where that fails it is tried again with the next call. */
  async release(token: string): Promise<void> {
    if (!this.#tokens.delete(token)) return
    this.#released.add(token)
    await this.#giveBack()
  }

  /** Removes an item for who has it. */
  async done(item: HeldItem): Promise<void> {
    checkHeld(item.id, await this.#changes.add({ type: 'done', ...item }))
    this.#tokens.delete(item.token)
  }

  /** Notes something for the next run of who has an item. */
  async setNote(item: HeldItem, note: string): Promise<void> {
    checkHeld(item.id, await this.#changes.add({ type: 'note', ...item, note }))
  }

  async #giveBack(): Promise<void> {
    if (this.#released.size === 0) return
    const tokens = [...this.#released]
    await this.#thread.call('release', 'give back items of the outbox', { args: [tokens] })
    for (const token of tokens) this.#released.delete(token)
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

  async readPart(index: number): Promise<OutboxPart> {
    const part = await this.#thread.call('readPart', 'read the outbox', {
      args: [this.#item.id, this.#token, index],
    })
    const { buffer } = part.bytes as Uint8Array<ArrayBuffer>
    return { ...part, release: () => void buffer.transfer(0) }
  }

  async dropParts(offset: number): Promise<void> {
    const keptFrom = await this.#thread.call('dropParts', 'clear parts of the outbox', {
      args: [this.#item.id, this.#token, offset],
    })
    const { content } = this.#item
    if (content.mode === 'stored') this.#item = { ...this.#item, content: { ...content, keptFrom } }
  }

  async setNote(note: unknown): Promise<void> {
    const { id } = this.#item
    await this.#outbox.setNote({ id, token: this.#token }, JSON.stringify(note) ?? 'null')
    this.#item = { ...this.#item, note }
  }

  async done(): Promise<void> {
    await this.#outbox.done({ id: this.#item.id, token: this.#token })
  }

  release(): Promise<void> {
    return this.#outbox.release(this.#token)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever has failed with the item says more of it than this would.
    await this.release().catch(() => {})
  }
}

/** @throws as a change to an item that is not there, or not its sender's any more */
function checkHeld(id: string, outcome: ChangeOutcome): void {
  if (outcome === 'gone') throw itemGone(id)
  if (outcome === 'lost') throw leaseLost(id)
}

/** Monotonic, and the same for all processes; `performance.now()` begins anew for each. */
function systemUptimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

async function createFile(path: string): Promise<void> {
  const folder = dirname(path)
  try {
    const made = await makeFolders(folder, 0o700)
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
