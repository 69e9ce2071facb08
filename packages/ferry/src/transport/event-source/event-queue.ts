/**
 * Events that have come and have not been asked for, and those who wait for one.
 *
 * Owns the bound on what is held: `isFull` tells the source to stop, `onRoom` that it may go on. What
 * is held comes before the end, unless it is dropped. Knows no connection.
 */

/** An event from a server. */
export interface ServerEvent {
  /** What the server calls it; `message` when it does not say. */
  readonly type: string
  readonly data: string
  /** The last id that the server gave, with this event or before; empty when none. */
  readonly lastEventId: string
}

/** How the events end: with an error, where there is one. */
export type EventsEnd = { readonly ok: true } | { readonly ok: false; readonly error: unknown }

interface Waiter {
  readonly resolve: (result: IteratorResult<ServerEvent, undefined>) => void
  readonly reject: (error: unknown) => void
}

// An object, its three fields and its place in the queue.
const EVENT_OVERHEAD_BYTES = 64
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** Events in the order in which they came. */
export class EventQueue {
  readonly #maxHeldBytes: number
  readonly #onRoom: () => void
  /** Given out from `#position` on; new ones come into `#incoming`, and then the two change places. */
  #outgoing: (ServerEvent | undefined)[] = []
  #position = 0
  #incoming: ServerEvent[] = []
  #heldBytes = 0
  #waiters: Waiter[] = []
  /** Was full, and `onRoom` has not been called since. */
  #isBlocked = false
  #end: EventsEnd | undefined

  /** `onRoom` is called when half of a full queue has been taken. */
  constructor(maxHeldBytes: number, onRoom: () => void) {
    this.#maxHeldBytes = maxHeldBytes
    this.#onRoom = onRoom
  }

  /** Events that are held. */
  get size(): number {
    return this.#outgoing.length - this.#position + this.#incoming.length
  }

  /** Whether the source is to stop until `onRoom`. */
  get isFull(): boolean {
    if (this.#heldBytes >= this.#maxHeldBytes) this.#isBlocked = true
    return this.#isBlocked
  }

  /** Takes an event, also when full; none after the end. */
  push(event: ServerEvent): void {
    if (this.#end !== undefined) return
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: event })
      return
    }
    this.#incoming.push(event)
    this.#heldBytes += sizeOf(event)
  }

  /** Gives the next event, or what ends them: an error once, and then nothing more. */
  next(): Promise<IteratorResult<ServerEvent, undefined>> {
    const event = this.#take()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    const end = this.#end
    if (end === undefined) {
      return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
    }
    this.#end = { ok: true }
    return end.ok ? Promise.resolve(DONE) : Promise.reject(end.error as Error)
  }

  /** No event comes any more; those that are held are still given out. */
  end(end: EventsEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    for (const [index, waiter] of this.#waiters.splice(0).entries()) {
      if (index > 0 || end.ok) waiter.resolve(DONE)
      else waiter.reject(end.error)
      this.#end = { ok: true }
    }
  }

  /** Forgets what is held. */
  drop(): void {
    this.#outgoing = []
    this.#position = 0
    this.#incoming = []
    this.#heldBytes = 0
  }

  #take(): ServerEvent | undefined {
    if (this.#position === this.#outgoing.length) {
      if (this.#incoming.length === 0) return undefined
      this.#outgoing = this.#incoming
      this.#incoming = []
      this.#position = 0
    }
    const event = this.#outgoing[this.#position] as ServerEvent
    // What has been given out is not ours to keep alive.
    this.#outgoing[this.#position++] = undefined
    this.#heldBytes -= sizeOf(event)
    if (this.#isBlocked && this.#heldBytes <= this.#maxHeldBytes / 2) {
      this.#isBlocked = false
      this.#onRoom()
    }
    return event
  }
}

function sizeOf({ type, data, lastEventId }: ServerEvent): number {
  return EVENT_OVERHEAD_BYTES + type.length + data.length + lastEventId.length
}
