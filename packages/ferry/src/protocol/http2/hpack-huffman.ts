/**
 * Strings in the Huffman code of HPACK (RFC 7541 §5.2). Knows nothing of fields or tables.
 *
 * Decoding is a walk of the code's tree, four bits a step: no code is shorter than five bits, so a
 * step ends at most one symbol, and one number tells what it does.
 */
import { HpackError } from './hpack-error.ts'
import { CODE_LENGTHS_BITS, EOS } from './hpack-huffman-table.ts'

const MAX_LENGTH_BITS = 30
// RFC 7541 §5.2: a padding strictly longer than 7 bits is an error.
const MAX_PADDING_BITS = 7
// The bits waiting in an encoder, at most 7, and a code up to this length fit 31 bits together.
const MAX_SHORT_CODE_BITS = 24

/** The code of each symbol in its low bits, the first bit of the code highest. */
const CODES = assignCodes()
const LENGTHS_BITS = Uint8Array.from(CODE_LENGTHS_BITS)

// A step of the decoder: the symbol it ended in bits 0 to 7, whether it ended one in bit 8, and the
// state that follows above them. The last state is that behind EOS, which nothing leaves.
const EMITS = 1 << 8
const EMITTED = EMITS | 0xff
const STATE_SHIFT = 9
const ROOT = 0
const FAILED = EOS
const BIT_STEPS = buildBitSteps()
const STEPS = joinSteps(joinSteps(BIT_STEPS, 1), 2)
const PADDING_STATES = findPaddingStates()

/** How many bytes `text`, one char a byte, takes in this code. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let index = 0; index < text.length; index++) {
    bits += LENGTHS_BITS[text.charCodeAt(index) & 0xff] as number
  }
  return (bits + 7) >>> 3
}

/**
 * Writes `text`, one char a byte; `target` has room for it.
 * @returns the position behind it
 */
export function writeHuffman(text: string, target: Uint8Array, start: number): number {
  let position = start
  // Of `pending` only the lowest `bits` are still to be written.
  let pending = 0
  let bits = 0
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 0xff
    let code = CODES[symbol] as number
    let length = LENGTHS_BITS[symbol] as number
    if (length > MAX_SHORT_CODE_BITS) {
      length -= 16
      pending = (pending << length) | (code >>> 16)
      for (bits += length; bits >= 8;) target[position++] = pending >>> (bits -= 8)
      length = 16
      code &= 0xffff
    }
    pending = (pending << length) | code
    for (bits += length; bits >= 8;) target[position++] = pending >>> (bits -= 8)
  }
  // RFC 7541 §5.2: the padding is the first bits of EOS, all ones.
  if (bits > 0) target[position++] = (pending << (8 - bits)) | (0xff >>> bits)
  return position
}

/**
 * Decodes `block[start]` up to, not including, `block[end]` to the beginning of `target`, which has
 * room for 8 bytes for every 5 of the block, and for one more.
 * @returns how many bytes it made
 * @throws {HpackError} when EOS is in the string, or its padding is not a short beginning of EOS
 */
export function decodeHuffman(
  block: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
): number {
  let length = 0
  let state = ROOT
  for (let position = start; position < end; position++) {
    const byte = block[position] as number
    // Always written, and written over unless the step ended a symbol: cheaper than to ask.
    let step = STEPS[(state << 4) | (byte >>> 4)] as number
    target[length] = step
    length += (step & EMITS) >>> 8
    step = STEPS[((step >>> STATE_SHIFT) << 4) | (byte & 0xf)] as number
    target[length] = step
    length += (step & EMITS) >>> 8
    state = step >>> STATE_SHIFT
  }
  if (PADDING_STATES[state] === 0) throw badHuffman(state)
  return length
}

function badHuffman(state: number): HpackError {
  return new HpackError(
    state === FAILED
      ? 'Cannot decode a Huffman string: EOS is in it'
      : 'Cannot decode a Huffman string: its padding is not up to 7 bits of EOS',
  )
}

/** A length's first code is the one that follows the last of the length before, with a 0 behind it. */
function assignCodes(): Uint32Array {
  const counts = new Uint16Array(MAX_LENGTH_BITS + 1)
  for (const length of CODE_LENGTHS_BITS) counts[length] = (counts[length] as number) + 1
  const next = new Uint32Array(MAX_LENGTH_BITS + 1)
  for (let length = 1; length <= MAX_LENGTH_BITS; length++) {
    next[length] = 2 * ((next[length - 1] as number) + (counts[length - 1] as number))
  }
  return Uint32Array.from(CODE_LENGTHS_BITS, (length) => {
    const code = next[length] as number
    next[length] = code + 1
    return code
  })
}

/** The steps of one bit: those of state n, which is an inner node of the tree, at 2n and 2n + 1. */
function buildBitSteps(): Uint32Array {
  const steps = new Uint32Array(2 * (FAILED + 1))
  let states = 1
  for (let symbol = 0; symbol <= EOS; symbol++) {
    const code = CODES[symbol] as number
    let state = ROOT
    for (let bit = (CODE_LENGTHS_BITS[symbol] as number) - 1; bit > 0; bit--) {
      const branch = 2 * state + ((code >>> bit) & 1)
      if (steps[branch] === 0) steps[branch] = states++ << STATE_SHIFT
      state = (steps[branch] as number) >>> STATE_SHIFT
    }
    steps[2 * state + (code & 1)] = symbol === EOS ? FAILED << STATE_SHIFT : EMITS | symbol
  }
  steps.fill(FAILED << STATE_SHIFT, 2 * FAILED)
  return steps
}

/** Joins each two steps of `bits` bits that can follow each other; one of them at most ends a symbol. */
function joinSteps(steps: Uint32Array, bits: number): Uint32Array {
  const joined = new Uint32Array(steps.length << bits)
  const mask = (1 << bits) - 1
  for (let index = 0; index < joined.length; index++) {
    const first = steps[index >>> bits] as number
    const second = steps[((first >>> STATE_SHIFT) << bits) | (index & mask)] as number
    joined[index] = second | (first & EMITTED)
  }
  return joined
}

/** The states in which a string may end: the root, and those that up to 7 ones lead to from there. */
function findPaddingStates(): Uint8Array {
  const padding = new Uint8Array(FAILED + 1)
  for (let state = ROOT, bits = 0; bits <= MAX_PADDING_BITS; bits++) {
    padding[state] = 1
    state = (BIT_STEPS[2 * state + 1] as number) >>> STATE_SHIFT
  }
  return padding
}
