/**
 * Messages that have come and that nobody has taken, in order, then the end: clean, or an error.
 * Whoever fills it looks at `full` and is told when it no longer is.
 */

/** A text message as a string, a binary one as bytes. */
export type WebSocketMessage = string | Buffer

interface Taker {
  readonly give: (message: WebSocketMessage | undefined) => void
  readonly fail: (error: unknown) => void
}

type End = { readonly error: Error | undefined }

// What a held message costs besides its bytes, roughly: empty ones must count for something.
const COST_BYTES = 32
/** How many taken places may stand before the others; moving each time would be quadratic. */
const MAX_TAKEN = 1024

/** A queue with one taker at a time. */
export class MessageQueue {
  readonly #maxHeldBytes: number
  readonly #onRoom: () => void
  #messages: (WebSocketMessage | undefined)[] = []
  #sizes: number[] = []
  /** Where the first message stands. */
  #first = 0
  #heldBytes = 0
  #taker: Taker | undefined
  #end: End | undefined

  /** `onRoom` is called when half of `maxHeldBytes` is free again after it was full. */
  constructor(maxHeldBytes: number, onRoom: () => void) {
    this.#maxHeldBytes = maxHeldBytes
    this.#onRoom = onRoom
  }

  /** As much is held as may be. */
  get full(): boolean {
    return this.#heldBytes > this.#maxHeldBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Adds a message of `length` bytes on the wire. */
  push(message: WebSocketMessage, length: number): void {
    if (this.#end !== undefined) return
    const taker = this.#taker
    if (taker !== undefined) {
      taker.give(message)
      return
    }
    this.#messages.push(message)
    this.#sizes.push(length + COST_BYTES)
    this.#heldBytes += length + COST_BYTES
  }

  /** Nothing more will come; what is held is still given. The first end counts. */
  end(error?: Error): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#giveEnd()
  }

  /** Ends at once, without what is held. */
  abort(error: Error): void {
    this.#messages = []
    this.#sizes = []
    this.#first = 0
    this.#heldBytes = 0
    this.#end = { error }
    this.#giveEnd()
  }

  /**
   * Takes the next message; undefined after a clean end.
   * @throws the error of the end, `signal.reason`, TypeError when somebody else waits already
   */
  take(signal?: AbortSignal): Promise<WebSocketMessage | undefined> {
    if (this.#first < this.#messages.length) return Promise.resolve(this.#shift())
    return new Promise((resolve, reject) => {
      if (this.#taker !== undefined)
        throw new TypeError('Somebody else waits for a message already')
      const onAbort = (): void => this.#taker?.fail(signal?.reason)
      const leave = (): void => {
        this.#taker = undefined
        signal?.removeEventListener('abort', onAbort)
      }
      this.#taker = {
        give(message) {
          leave()
          resolve(message)
        },
        fail(error) {
          leave()
          reject(error as Error)
        },
      }
      if (signal?.aborted === true) onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#giveEnd()
    })
  }

  #giveEnd(): void {
    if (this.#end === undefined || this.#first < this.#messages.length) return
    if (this.#end.error === undefined) this.#taker?.give(undefined)
    else this.#taker?.fail(this.#end.error)
  }

  #shift(): WebSocketMessage {
    const message = this.#messages[this.#first] as WebSocketMessage
    const wasFull = this.#heldBytes > this.#maxHeldBytes / 2
    this.#messages[this.#first] = undefined
    this.#heldBytes -= this.#sizes[this.#first] as number
    this.#first++
    if (this.#first === this.#messages.length || this.#first === MAX_TAKEN) {
      this.#messages.splice(0, this.#first)
      this.#sizes.splice(0, this.#first)
      this.#first = 0
    }
    if (wasFull && this.#heldBytes <= this.#maxHeldBytes / 2) this.#onRoom()
    return message
  }
}
