/**
 * The outbox: what is to be sent, kept until it has been delivered, whatever is killed meanwhile.
 *
 * This file is the port that every store of it fulfils, in Node and in a browser; it knows neither
 * files nor databases nor HTTP. Three promises hold for each store:
 *
 * - An item is there whole or not at all: what a crash leaves half-added is swept when the outbox is
 *   opened again.
 * - Content and state of an item change only through its lease, which one sender holds at a time;
 *   whoever has lost it is told so (`locked`) and changes nothing.
 * - Items keep the order in which their adding ended.
 */

/** One thing to be sent. A snapshot: it does not change with the outbox. */
export interface OutboxItem {
  /** A UUID, which no other item ever gets; the same for every attempt to send it. */
  readonly id: string
  /** What the sender calls it, as it was given: any text, also with slashes. */
  readonly name: string
  /** Its media type, for the server; undefined when nobody has said. */
  readonly type: string | undefined
  /** Bytes of the whole, also when parts of it are dropped. */
  readonly size: number
  /** Epoch ms. */
  readonly addedAt: number
  /** What the caller wants to know of it later, or the server to be told. */
  readonly metadata: OutboxMetadata
  readonly content: StoredContent | ReferencedContent
  /** What the sender noted for its next run, as JSON takes it; undefined before the first note. */
  readonly note: unknown
  /** When the lease of whoever is sending it ends, in epoch ms; undefined when it is free. */
  readonly leasedUntil: number | undefined
}

export type OutboxMetadata = Readonly<Record<string, string>>

/** Bytes that the outbox itself holds. */
export interface StoredContent {
  readonly mode: 'stored'
  /** Bytes of each part but the last, which is shorter or as long; an empty item has no part. */
  readonly partBytes: number
  /** Where the bytes that are still kept begin: those before were dropped. */
  readonly keptFrom: number
  /** Of the whole, hexadecimal. */
  readonly sha256: string
}

/** Bytes that stay in a file of their own, which must not change until they are sent. */
export interface ReferencedContent {
  readonly mode: 'reference'
  /** Absolute. */
  readonly path: string
  /** Of the version that is to be sent, as the source of a file tells it. */
  readonly fingerprint: string
  /** Of the whole, hexadecimal; undefined when nobody asked for it. */
  readonly sha256: string | undefined
}

/** One part of a stored item. */
export interface OutboxPart {
  /** From the start of the item. */
  readonly offset: number
  readonly bytes: Uint8Array
  /** Of these bytes, hexadecimal; they have been held against it. */
  readonly sha256: string
  /** Gives the memory of these bytes back at once, where the store can; nobody may look at them then. */
  readonly release?: (() => void) | undefined
}

/** What is to be added. */
export interface NewItem {
  readonly name: string
  readonly type?: string | undefined
  readonly metadata?: OutboxMetadata | undefined
  readonly content: NewStoredContent | NewReferencedContent
}

/** A file that stays where it is. */
export interface NewReferencedContent extends ReferencedContent {
  readonly size: number
}

/** Bytes to be taken in. */
export interface NewStoredContent {
  readonly mode: 'stored'
  /**
   * Read once, one piece at a time, each copied before the next is asked for. What it throws ends the
   * adding; `return()` is called when the adding ends early.
   */
  readonly pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** @defaultValue 1 MiB */
  readonly partBytes?: number | undefined
}

/** Items to be sent, each kept until a sender says that it is done. */
export interface Outbox extends AsyncDisposable {
  /**
   * Takes items in: all of them or, on any error and any crash, none. When it resolves they survive
   * a power cut (where the store is durable at all), in the order given.
   * @throws {TransferError} `no-space`: the disk is full; nothing was added
   * @throws {TransferError} `locked`: another process kept the outbox to itself for too long
   * @throws {ConfigError} when the name or the size of parts cannot be used
   * @throws what the content throws, and `signal.reason`
   */
  add(
    items: Iterable<NewItem> | AsyncIterable<NewItem>,
    options?: OutboxAddOptions,
  ): Promise<OutboxItem[]>
  /** Every item, in order of adding, without reading content. */
  list(): Promise<OutboxItem[]>
  /** One item; undefined when it is not there (any more). */
  get(id: string): Promise<OutboxItem | undefined>
  /**
   * Takes an item for one sender.
   * @returns undefined when another sender has it, or it is not there (any more)
   * @throws {ConfigError} durationMs, when it is no whole number above 0
   */
  lease(id: string, options?: LeaseOptions): Promise<OutboxLease | undefined>
  /**
   * Removes an item with its content, unless a sender has it.
   * @returns whether it was removed
   */
  remove(id: string): Promise<boolean>
  /** Idempotent. Leases of this outbox end; what is being added is not there afterwards. */
  close(): Promise<void>
}

/** How items are added. */
export interface OutboxAddOptions {
  readonly signal?: AbortSignal | undefined
  /** Told after each part, and at the end of each item: bytes of that item taken in so far. */
  readonly onProgress?: ((name: string, bytes: number) => void) | undefined
}

/** How an item is leased. */
export interface LeaseOptions {
  /**
   * How long it stays with a sender that is silent but alive; renew it about three times as often. A
   * sender whose process has ended loses it at once where the system tells (Linux).
   * @defaultValue 60,000 ms
   */
  readonly durationMs?: number | undefined
}

/**
 * An item in the hands of one sender. Every call but `release()` throws {TransferError} `locked` once
 * another sender has taken it over, and {UploadError} `upload-not-found` once it is gone.
 */
export interface OutboxLease extends AsyncDisposable {
  /** As it was when it was leased, but for its note and what is kept, which follow this lease. */
  readonly item: OutboxItem
  /** Makes the lease last `durationMs` from now. */
  renew(): Promise<void>
  /**
   * Reads a stored part, by its number from 0.
   * @throws {TransferError} `outbox-unusable`: its bytes are not those that were added
   * @throws {RangeError} when the item has no such part, or has it no more
   */
  readPart(index: number): Promise<OutboxPart>
  /**
   * Gives up the stored parts that end at or before `offset`, to free their room. The item can then
   * be sent only to who has those bytes already: nothing brings them back.
   */
  dropParts(offset: number): Promise<void>
  /** Keeps a value that JSON takes for the next run, in place of the last; survives a power cut. */
  setNote(note: unknown): Promise<void>
  /** Removes the item with its content: it is delivered. Survives a power cut. Ends the lease. */
  done(): Promise<void>
  /**
   * Gives the item back for anybody to take. Idempotent. At the end of an `await using` a failure is not
   * told: the lease ends by itself then.
   */
  release(): Promise<void>
}
