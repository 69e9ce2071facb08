/**
 * Takes the content of one response and writes the wanted slice of it, block by block.
 *
 * Content lands in the block straight from the socket; a full block is written while the next one
 * fills. Owns its blocks until they are written; at most `MAX_BLOCKS_IN_FLIGHT` at once, then the
 * connection pauses. Bytes outside [cursor, end) are dropped: those before it are there already,
 * those after it belong to another connection by now.
 */
import { TransferError } from '../errors.ts'
import type { BodySink } from '../transport/response-body.ts'
import type { PartFile } from './part-file.ts'

// One positional write of this size costs little beside the copying; 16 connections stay below 50 MB.
const BLOCK_BYTES = 1_048_576
const MAX_BLOCKS_IN_FLIGHT = 2
// Less room than this is not worth a read of its own.
const MIN_WINDOW_BYTES = 16_384
const NOTHING = Buffer.alloc(0)

/** Memory for content, and who still needs it: writes may end in any order. */
interface Block {
  readonly memory: Buffer
  /** Writes that read from it. */
  writes: number
  /** Nothing more will be put into it. */
  retired: boolean
}

/** Blocks that are not in use, shared by all writers of a download. */
export class BlockPool {
  readonly #free: Buffer[] = []

  take(): Block {
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
    return { memory, writes: 0, retired: false }
  }

  /** Takes the memory back once nobody needs it. */
  reclaim(block: Block): void {
    if (block.retired && block.writes === 0) this.#free.push(block.memory)
  }
}

/** What a writer tells the download. */
export interface SegmentEvents {
  /** Bytes [start, end) are in the file, though not synced. */
  onWritten(start: number, end: number): void
  /** Content came; returns how many ms to pause for the rate limit. */
  onReceived(bytes: number): number
  /** The slice is complete although the response is not: nothing more is wanted of it. */
  onSatisfied(): void
}

/** A sink for one response. */
export class SegmentWriter implements BodySink {
  readonly #file: PartFile
  readonly #blocks: BlockPool
  readonly #events: SegmentEvents
  #maxWindowBytes: number
  readonly #responseEnd: number
  readonly #overlap: Buffer
  /** Where the overlap begins. */
  readonly #overlapStart: number
  /** Offset of the next byte of the response. */
  #position: number
  /** The next byte wanted. */
  #cursor: number
  #end: number
  #block: Block | undefined
  /** In the block: bytes before `filled` have come, bytes before `handedOver` are being written. */
  #filled = 0
  #handedOver = 0
  /** Numbers of the writes that have not ended, oldest first. */
  readonly #inFlight = new Set<number>()
  #lastWrite = 0
  #paused = false
  #hasPaused = false
  /** Runs while the rate limit asks for a pause. */
  #pauseTimer: NodeJS.Timeout | undefined
  #failure: Error | undefined
  #resume = (): void => {}
  #flushes: { readonly lastWrite: number; readonly resolve: () => void }[] = []

  constructor(
    file: PartFile,
    blocks: BlockPool,
    events: SegmentEvents,
    options: {
      position: number
      cursor: number
      end: number
      /** Where the response says that it ends. */
      responseEnd?: number | undefined
      /** What is in the file before `cursor`; the response has to bring the same. */
      overlap?: Buffer | undefined
      maxWindowBytes?: number | undefined
    },
  ) {
    this.#file = file
    this.#blocks = blocks
    this.#events = events
    this.#position = options.position
    this.#cursor = options.cursor
    this.#end = options.end
    this.#responseEnd = options.responseEnd ?? Number.POSITIVE_INFINITY
    this.#overlap = options.overlap ?? NOTHING
    this.#overlapStart = options.cursor - this.#overlap.length
    this.#maxWindowBytes = options.maxWindowBytes ?? BLOCK_BYTES
  }

  /** The next byte that has not come. */
  get cursor(): number {
    return this.#cursor
  }

  /** Offset of the next byte that the response will bring, wanted or not. */
  get position(): number {
    return this.#position
  }

  /** It takes nothing now: the disk is behind, or the rate limit asks for a pause. */
  get isPaused(): boolean {
    return this.#paused
  }

  /** Whether it has paused since this was asked last. */
  takePaused(): boolean {
    const hasPaused = this.#hasPaused
    this.#hasPaused = this.#paused
    return hasPaused
  }

  /** Wants the bytes up to `end` from now on: fewer than before, or more unless they have passed. */
  setEnd(end: number): void {
    if (this.#position > this.#cursor) return
    this.#end = Math.max(end, this.#cursor)
  }

  /** The rate limit is another one: windows of this size from now on, and a pause for the old one ends. */
  setPace(maxWindowBytes: number | undefined): void {
    this.#maxWindowBytes = maxWindowBytes ?? BLOCK_BYTES
    clearTimeout(this.#pauseTimer)
    this.#pauseTimer = undefined
    this.#resumeIfReady()
  }

  start(flow: { resume(): void }): void {
    this.#resume = () => flow.resume()
  }

  buffer(): Buffer | undefined {
    const skipping = this.#position < this.#cursor
    if (skipping || this.#inFlight.size > MAX_BLOCKS_IN_FLIGHT) return undefined
    const { memory } = this.#roomyBlock(MIN_WINDOW_BYTES)
    return memory.subarray(
      this.#filled,
      Math.min(memory.length, this.#filled + this.#maxWindowBytes),
    )
  }

  write(bytes: Buffer): boolean {
    if (this.#failure !== undefined) throw this.#failure
    this.#checkAnnounced(bytes.length)
    const skip = Math.min(bytes.length, Math.max(0, this.#cursor - this.#position))
    const wanted = Math.min(bytes.length - skip, this.#end - this.#cursor)
    if (skip > 0) this.#checkOverlap(bytes.subarray(0, skip))
    this.#position += bytes.length
    if (wanted > 0) this.#take(bytes.subarray(skip, skip + wanted))
    if (this.#cursor >= this.#end) {
      this.#handOver()
      this.#events.onSatisfied()
    }
    this.#limit(this.#events.onReceived(Math.max(0, wanted)))
    this.#paused = this.#pauseTimer !== undefined || this.#inFlight.size >= MAX_BLOCKS_IN_FLIGHT
    this.#hasPaused ||= this.#paused
    return !this.#paused
  }

  /**
   * Hands over what has come, so that it is in the file soon; resolves when all of it is. Does not
   * wait for what comes meanwhile: on a slow disk some write is always under way.
   */
  async flush(): Promise<void> {
    this.#handOver()
    if (this.#inFlight.size > 0) {
      const lastWrite = this.#lastWrite
      await new Promise<void>((resolve) => this.#flushes.push({ lastWrite, resolve }))
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Flushes and gives the memory back; after this the writer is of no use. */
  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      clearTimeout(this.#pauseTimer)
      this.#retireBlock()
    }
  }

  /** A chunked response can have more content than its Content-Range says; then neither is trusted. */
  #checkAnnounced(bytes: number): void {
    if (this.#position + bytes <= this.#responseEnd) return
    throw new TransferError(
      'range-mismatch',
      `Cannot write ${this.#file.path}: the response goes on behind its announced end, ${this.#responseEnd}`,
    )
  }

  /** Bytes that are here already have to be the same, where that is to be compared. */
  #checkOverlap(skipped: Buffer): void {
    const from = Math.max(this.#position, this.#overlapStart)
    const to = this.#position + skipped.length
    if (from >= to) return
    const came = skipped.subarray(from - this.#position)
    const here = this.#overlap.subarray(from - this.#overlapStart, to - this.#overlapStart)
    if (came.equals(here)) return
    throw new TransferError(
      'representation-changed',
      `Cannot go on with ${this.#file.path}: the file at the server is another one now, it differs between ${from} and ${to}`,
    )
  }

  #take(bytes: Buffer): void {
    let rest = bytes
    while (rest.length > 0) {
      const { memory } = this.#roomyBlock(1)
      const length = Math.min(rest.length, memory.length - this.#filled)
      // Bytes that landed in their place already are the usual case.
      if (!isAt(rest, memory, this.#filled)) memory.set(rest.subarray(0, length), this.#filled)
      this.#filled += length
      this.#cursor += length
      rest = rest.subarray(length)
      if (this.#filled === memory.length) this.#retireBlock()
    }
  }

  /** The current block when it has room, else a fresh one. */
  #roomyBlock(room: number): Block {
    if (this.#block !== undefined && this.#block.memory.length - this.#filled < room) {
      this.#retireBlock()
    }
    if (this.#block === undefined) {
      this.#block = this.#blocks.take()
      this.#filled = 0
      this.#handedOver = 0
    }
    return this.#block
  }

  /** Writes the rest of the current block and lets go of it. */
  #retireBlock(): void {
    const block = this.#block
    if (block === undefined) return
    this.#handOver()
    this.#block = undefined
    block.retired = true
    this.#blocks.reclaim(block)
  }

  /** Starts writing what has come and is not being written. */
  #handOver(): void {
    const block = this.#block
    if (block === undefined || this.#handedOver === this.#filled) return
    const bytes = block.memory.subarray(this.#handedOver, this.#filled)
    this.#handedOver = this.#filled
    const start = this.#cursor - bytes.length
    const number = ++this.#lastWrite
    this.#inFlight.add(number)
    block.writes++
    this.#file.write(bytes, start, (error) => {
      this.#inFlight.delete(number)
      block.writes--
      this.#blocks.reclaim(block)
      if (error === undefined) this.#events.onWritten(start, start + bytes.length)
      else this.#failure ??= error
      this.#afterWrite()
    })
  }

  #afterWrite(): void {
    const [oldest = Number.POSITIVE_INFINITY] = this.#inFlight
    const flushes = this.#flushes
    this.#flushes = flushes.filter(({ lastWrite }) => lastWrite >= oldest)
    for (const { lastWrite, resolve } of flushes) if (lastWrite < oldest) resolve()
    this.#resumeIfReady()
  }

  #limit(pauseMs: number): void {
    if (pauseMs <= 0) return
    // The newest pause counts what the one before it was for.
    clearTimeout(this.#pauseTimer)
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined
      this.#resumeIfReady()
    }, pauseMs)
  }

  #resumeIfReady(): void {
    const mustWait = this.#pauseTimer !== undefined || this.#inFlight.size >= MAX_BLOCKS_IN_FLIGHT
    if (!this.#paused || mustWait) return
    this.#paused = false
    this.#resume()
  }
}

function isAt(bytes: Buffer, block: Buffer, position: number): boolean {
  return bytes.buffer === block.buffer && bytes.byteOffset === block.byteOffset + position
}
