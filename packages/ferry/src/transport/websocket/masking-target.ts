/**
 * Where frames leave: each is masked in memory of our own (RFC 6455 §5.3), and those of one
 * turn of the event loop go out in one write.
 *
 * Takes unmasked frames from a Sender. Masking by words while the bytes are copied anyway costs a
 * fraction of what it costs byte by byte, and one write a fraction of many. Owns the count of what is
 * under way, and the memory: what was written is used again once it is with the system.
 */
import { randomFillSync } from 'node:crypto'
import type { NetworkStream } from '../../net/network-backend.ts'
import type { FrameTarget, SendDone } from './ws-frames.ts'

const KEY_BYTES = 4
const MASK_BIT = 0x80
/** Below it, a view of words costs more than it saves. */
const MIN_WORDS_BYTES = 64
/** Keys drawn at once: drawing four bytes at a time would be most of the cost of a small frame. */
const KEY_POOL_BYTES = 8192
/** Memory kept for all connections together: new memory costs more than masking into it. */
interface SlabPool {
  readonly bytes: number
  readonly max: number
  readonly spares: Buffer[]
}

// One for the few short messages of a turn, also on thousands of sockets; one for 64 KiB and a header.
const POOLS: readonly SlabPool[] = [
  { bytes: 8192, max: 128, spares: [] },
  { bytes: 131_072, max: 8, spares: [] },
]

const keys = new Uint8Array(KEY_POOL_BYTES)
let nextKey = KEY_POOL_BYTES
const wordKey = new Uint32Array(1)
const wordKeyBytes = new Uint8Array(wordKey.buffer)

/** The target of one connection's Sender. */
export class MaskingTarget implements FrameTarget {
  readonly #stream: NetworkStream
  #header: Buffer | undefined
  #corked = false
  #destroyed = false
  /** Where the frames of this turn are put together. */
  #slab: Buffer | undefined
  #slabPool: SlabPool | undefined
  #slabUsed = 0
  /** Whom to tell once what is in the slab has gone. */
  #slabDone: SendDone[] = []
  #framedBytes = 0
  #flushedBytes = 0
  readonly #waiters: { readonly until: number; readonly done: () => void }[] = []

  constructor(stream: NetworkStream) {
    this.#stream = stream
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  /** Bytes of frames that are not yet with the system. */
  get pendingBytes(): number {
    return this.#framedBytes - this.#flushedBytes
  }

  cork(): void {
    this.#corked = true
  }

  uncork(): void {
    this.#corked = false
  }

  write(bytes: Buffer | string, done?: SendDone): void {
    const header = this.#header
    if (header !== undefined) {
      this.#header = undefined
      this.#send(header, bytes, done)
    } else if (this.#corked) {
      this.#header = bytes as Buffer
    } else {
      this.#send(bytes as Buffer, '', done)
    }
  }

  /** Writes what stands together now, without waiting for the end of the turn. */
  flush(): void {
    this.#writeSlab()
  }

  /** Calls once all that was given before is with the system. */
  onFlushed(done: () => void): void {
    this.#waiters.push({ until: this.#framedBytes, done })
  }

  /** Takes nothing more, and forgets what is not written. */
  destroy(): void {
    this.#destroyed = true
    this.#slab = undefined
  }

  #send(header: Buffer, payload: Buffer | string, done: SendDone | undefined): void {
    if (this.#destroyed) {
      done?.()
      return
    }
    const length = header.length + KEY_BYTES + payloadLength(header)
    if (length > (this.#slab?.length ?? 0) - this.#slabUsed) this.#writeSlab()
    const slab = this.#slab ?? this.#takeSlab(length)
    writeFrame(slab, this.#slabUsed, header, payload)
    this.#slabUsed += length
    this.#framedBytes += length
    if (done !== undefined) this.#slabDone.push(done)
  }

  /** The memory of this turn: written when whoever runs now has ended, and all whom that has woken. */
  #takeSlab(length: number): Buffer {
    const pool = POOLS.find(({ bytes }) => length <= bytes)
    this.#slabPool = pool
    this.#slab = pool?.spares.pop() ?? Buffer.allocUnsafeSlow(pool?.bytes ?? length)
    process.nextTick(this.#writeSlab)
    return this.#slab
  }

  readonly #writeSlab = (): void => {
    const slab = this.#slab
    if (slab === undefined) return
    const pool = this.#slabPool
    const length = this.#slabUsed
    const done = this.#slabDone
    this.#slab = undefined
    this.#slabUsed = 0
    this.#slabDone = []
    this.#stream.write(slab.subarray(0, length), () => {
      // After an end without success the system may still look at it.
      const isFree = !this.#destroyed && pool !== undefined && pool.spares.length < pool.max
      if (isFree) pool.spares.push(slab)
      this.#flushedBytes += length
      for (const tell of done) tell()
      while ((this.#waiters[0]?.until ?? Infinity) <= this.#flushedBytes) {
        this.#waiters.shift()?.done()
      }
    })
  }
}

/** Writes the frame that begins with `header`, which says how long the payload is, masked. */
function writeFrame(memory: Buffer, at: number, header: Buffer, payload: Buffer | string): void {
  const payloadAt = at + header.length + KEY_BYTES
  for (let index = 0; index < header.length; index++) memory[at + index] = header[index] as number
  memory[at + 1] = (header[1] as number) | MASK_BIT
  if (typeof payload === 'string') memory.write(payload, payloadAt)
  else memory.set(payload, payloadAt)
  maskPayload(memory, payloadAt, payloadAt + payloadLength(header))
}

/** Draws a key, writes it before the payload and masks what stands from there to `end`. */
function maskPayload(memory: Buffer, payloadAt: number, end: number): void {
  if (nextKey + KEY_BYTES > keys.length) {
    // RFC 6455 §5.3, §10.3: from a source of strong entropy, new for each frame.
    randomFillSync(keys)
    nextKey = 0
  }
  const keyAt = nextKey
  nextKey += KEY_BYTES
  for (let index = 0; index < KEY_BYTES; index++) {
    memory[payloadAt - KEY_BYTES + index] = keys[keyAt + index] as number
  }
  let at = payloadAt
  const maskBytesTo = (to: number): void => {
    for (; at < to; at++) {
      memory[at] = (memory[at] as number) ^ (keys[keyAt + ((at - payloadAt) & 3)] as number)
    }
  }
  if (end - payloadAt >= MIN_WORDS_BYTES) {
    // Words lie at multiples of four, and their key begins where the bytes before them left off.
    maskBytesTo(at + (-(memory.byteOffset + at) & 3))
    for (let index = 0; index < KEY_BYTES; index++) {
      wordKeyBytes[index] = keys[keyAt + ((at - payloadAt + index) & 3)] as number
    }
    const key = wordKey[0] as number
    const count = (end - at) >>> 2
    const words = new Uint32Array(memory.buffer, memory.byteOffset + at, count)
    for (let index = 0; index < count; index++) words[index] = (words[index] as number) ^ key
    at += count * KEY_BYTES
  }
  maskBytesTo(end)
}

/** RFC 6455 §5.2: seven bits, or the two or eight bytes that follow. */
function payloadLength(header: Buffer): number {
  const short = header[1] as number
  if (short < 126) return short
  return short === 126 ? header.readUInt16BE(2) : header.readUIntBE(4, 6)
}
