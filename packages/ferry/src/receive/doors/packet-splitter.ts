/**
 * Cuts the JSON of a batch of packets, `{…,"packets":[{…},{…}]}`, into its packets as it comes, so
 * that never more than one of them is in memory. Pure: bytes in, texts out; what they mean, and
 * whether they are JSON, is for others to tell.
 */
import { invalidPacket } from './indexedcp-packet.ts'
import { Refusal } from './refusal.ts'

/** What is read at most. */
export interface SplitLimits {
  /** Of one packet. */
  readonly maxPacketBytes: number
  /** Of everything else together. */
  readonly maxEnvelopeBytes: number
}

const QUOTE = codeOf('"')
const BACKSLASH = codeOf('\\')
const [BRACE, BRACKET, CLOSING_BRACKET] = ['{', '[', ']'].map(codeOf)
const OPENING: ReadonlySet<number> = new Set(['{', '['].map(codeOf))
const CLOSING: ReadonlySet<number> = new Set(['}', ']'].map(codeOf))
const BETWEEN: ReadonlySet<number> = new Set([',', ' ', '\t', '\n', '\r'].map(codeOf))
const PACKETS_BEGIN = /"packets"\s*:\s*\[$/
/** Of the braces of the batch and the brackets of its list. */
const LIST_DEPTH = 2

/** Takes the bytes of one batch. */
export class PacketSplitter {
  readonly #limits: SplitLimits
  /** How many brackets and braces are open. */
  #depth = 0
  #isInString = false
  #isEscaped = false
  /** Inside of the list of packets. */
  #isInList = false
  #packet: Uint8Array[] = []
  #packetBytes = 0
  /** One character a byte. */
  #envelope = ''

  constructor(limits: SplitLimits) {
    this.#limits = limits
  }

  /**
   * What stands around the packets, as far as it has come, as JSON of its own: with an empty list.
   * Whole only when the batch has ended.
   */
  get envelope(): string {
    return Buffer.from(this.#envelope, 'latin1').toString() + (this.#isInList ? ']}' : '')
  }

  /**
   * Gives the packets that have come whole with these bytes.
   * @throws {Refusal} 413; 400, for a list of anything else
   */
  push(bytes: Buffer): string[] {
    const packets: string[] = []
    let from = 0
    for (let at = 0; at < bytes.length; at++) {
      if (this.#isInString) {
        at = this.#skipString(bytes, at)
        continue
      }
      const byte = bytes[at] as number
      const wasBetween = this.#isBetweenPackets
      this.#note(byte)
      if (wasBetween && BETWEEN.has(byte)) {
        from = at + 1
      } else if (wasBetween && byte !== BRACE && byte !== CLOSING_BRACKET) {
        throw invalidPacket('it is no object')
      } else if (this.#isInList && CLOSING.has(byte) && this.#depth === LIST_DEPTH) {
        this.#keep(bytes.subarray(from, at + 1))
        packets.push(this.#takePacket())
        from = at + 1
      } else if (this.#isInList && this.#depth < LIST_DEPTH) {
        this.#isInList = false
        from = at
      } else if (byte === BRACKET && this.#depth === LIST_DEPTH && !this.#isInList) {
        this.#keep(bytes.subarray(from, at + 1))
        from = at + 1
        this.#isInList = PACKETS_BEGIN.test(this.#envelope)
      }
    }
    this.#keep(bytes.subarray(from))
    return packets
  }

  get #isBetweenPackets(): boolean {
    return this.#isInList && this.#depth === LIST_DEPTH && this.#packetBytes === 0
  }

  #note(byte: number): void {
    if (byte === QUOTE) this.#isInString = true
    else if (OPENING.has(byte)) this.#depth++
    else if (CLOSING.has(byte)) this.#depth--
  }

  /** Gives the place of the last byte of the string, or of what has come. */
  #skipString(bytes: Buffer, from: number): number {
    let at = from
    if (this.#isEscaped) {
      this.#isEscaped = false
      at++
    }
    for (;;) {
      const quote = bytes.indexOf(QUOTE, at)
      const end = quote === -1 ? bytes.length : quote
      const backslash = bytes.subarray(at, end).indexOf(BACKSLASH)
      if (backslash === -1) {
        this.#isInString = quote === -1
        return end
      }
      at += backslash + 2
      if (at > bytes.length) {
        this.#isEscaped = true
        return bytes.length
      }
    }
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    const { maxEnvelopeBytes, maxPacketBytes } = this.#limits
    if (!this.#isInList) {
      this.#envelope += bytes.toString('latin1')
      if (this.#envelope.length > maxEnvelopeBytes) throw tooLarge()
      return
    }
    this.#packet.push(bytes)
    this.#packetBytes += bytes.length
    if (this.#packetBytes > maxPacketBytes) throw tooLarge()
  }

  #takePacket(): string {
    const text = Buffer.concat(this.#packet).toString()
    this.#packet = []
    this.#packetBytes = 0
    return text
  }
}

function codeOf(character: string): number {
  return character.charCodeAt(0)
}

function tooLarge(): Refusal {
  return new Refusal(413, 'Cannot take so large a packet')
}
