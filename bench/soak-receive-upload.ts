/**
 * Uploads of the soak of receiving, as their clients see them: each goes on from what it was promised,
 * and sends nothing again of which it knows that the server has it.
 */
import { createHash, randomBytes } from 'node:crypto'
import { seededContent } from '../test/support/receive-content.ts'
import { between, type Random } from './soak-random.ts'
import type { Answer, Wire } from './soak-receive-wire.ts'

/** A server has answered as it must not. */
export class WrongAnswer extends Error {}

export const KINDS = ['tus', 'tus-parallel', 'ietf', 'indexedcp', 'indexedcp-id'] as const
export type Kind = (typeof KINDS)[number]

const MAX_LENGTH = 1_500_000
const MAX_PIECE = 250_000

/** What a client keeps of its upload, from one life of the server to the next. */
export abstract class SoakUpload {
  readonly kind: Kind
  readonly content: Buffer
  /** As the client calls it: tells what the file has to contain. */
  readonly fileName: string
  readonly random: Random
  /** Told of each acknowledgement. */
  onAcknowledged: () => void = () => {}
  /** The client was told that the file is finished. */
  isDone = false
  /** Up to where the server has said that it has everything. */
  acknowledged = 0
  acknowledgements = 0

  constructor(kind: Kind, random: Random, { fileName, content } = drawFile(kind, random)) {
    this.kind = kind
    this.random = random
    this.fileName = fileName
    this.content = content
  }

  /** Goes on to the end. @throws {LostConnection | NoAnswer | WrongAnswer} */
  abstract run(wire: Wire): Promise<void>

  /**
   * Asks a server that has just started whether it still has what was acknowledged.
   * @throws {WrongAnswer} when it has not
   */
  abstract check(wire: Wire): Promise<void>

  /** Notes that everything up to `offset` is promised. */
  acknowledge(offset: number): void {
    if (offset < this.acknowledged) {
      throw new WrongAnswer(
        `${this.fileName}: lost: offset ${offset} after ${this.acknowledged} was acknowledged`,
      )
    }
    this.acknowledged = offset
    this.noteAcknowledgement()
  }

  noteAcknowledgement(): void {
    this.acknowledgements++
    this.onAcknowledged()
  }

  /** The next piece, of a random size. */
  pieceFrom(offset: number): Buffer {
    const bytes = Math.ceil(between(this.random, 0, MAX_PIECE))
    return this.content.subarray(offset, offset + bytes)
  }

  expectStatus(answer: Answer, ...expected: readonly number[]): void {
    if (expected.includes(answer.status)) return
    const { status, text, headers } = answer
    throw new WrongAnswer(
      `${this.fileName}: ${status} in place of ${expected.join(' or ')}: ${text} ${JSON.stringify(headers)}`,
    )
  }
}

/** Resolves when all have ended, so that nothing of one attempt meets the next; rejects as the first. */
export async function allEnded(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works)
  await Promise.all(works)
}

/** What is to be sent. */
export interface SoakFile {
  readonly fileName: string
  readonly content: Buffer
}

function drawFile(kind: Kind, random: Random): SoakFile {
  const seed = Math.floor(random() * 1e9)
  // Some are empty, some are small.
  const length = Math.floor(random() < 0.1 ? random() * 50 : random() * MAX_LENGTH)
  return {
    fileName: `${kind}-${seed}-${length}.bin`,
    content: seededContent(seed, 0, length),
  }
}

/** A field of an answer that is a number of bytes. */
export function bytesIn({ headers }: Pick<Answer, 'headers'>, field: string): number {
  const bytes = Number(headers[field] ?? Number.NaN)
  if (Number.isSafeInteger(bytes)) return bytes
  throw new WrongAnswer(`${field} is ${String(headers[field])}`)
}

/** What a name tells of the content; undefined for a name that no upload has. */
export function contentByName(name: string): { kind: Kind; content: Buffer } | undefined {
  const [, kind, seed, length] = /^([a-z-]+)-(\d+)-(\d+)(?: \(\d+\))?\.bin$/.exec(name) ?? []
  if (!KINDS.includes(kind as Kind)) return undefined
  return { kind: kind as Kind, content: seededContent(Number(seed), 0, Number(length)) }
}

// ── IndexedCP

const MAX_CHUNK = 150_000

/** Of the kind that exists: chunk after chunk, without an end. */
export class IndexedCpUpload extends SoakUpload {
  readonly #chunkBytes: number
  /** Chunks that are acknowledged, from the first on. */
  #taken = 0

  constructor(random: Random) {
    super('indexedcp', random)
    this.#chunkBytes = Math.ceil(between(random, 1000, MAX_CHUNK))
  }

  async run(wire: Wire): Promise<void> {
    // Some ask for what is there, most do not.
    if (this.#taken > 0 && this.random() < 0.5) await this.check(wire)
    while (this.#taken < Math.ceil(this.content.length / this.#chunkBytes)) {
      const start = this.#taken * this.#chunkBytes
      const body = this.content.subarray(start, start + this.#chunkBytes)
      const headers = {
        'X-Chunk-Index': String(this.#taken),
        'X-File-Name': `./some/folder/${this.fileName}`,
      }
      const answer = await wire.ask({ method: 'POST', path: '/upload', headers, body })
      this.expectStatus(answer, 200)
      this.#taken++
      this.acknowledge(start + body.length)
    }
    this.isDone = true
  }

  async check(wire: Wire): Promise<void> {
    const path = `/upload/status?filename=${this.fileName}`
    const answer = await wire.ask({ method: 'GET', path })
    this.expectStatus(answer, 200)
    const { receivedChunks } = JSON.parse(answer.text) as { receivedChunks: number[] }
    for (let index = 0; index < this.#taken; index++) {
      if (receivedChunks.includes(index)) continue
      throw new WrongAnswer(`${this.fileName}: lost: chunk ${index} was acknowledged`)
    }
  }
}

/** With the extension: an id, an end, chunks in any order and two at a time. */
export class IdentifiedUpload extends SoakUpload {
  readonly #chunkBytes: number
  readonly #id = randomBytes(8).toString('hex')
  readonly #taken = new Set<number>()
  /** Of the whole, by some. */
  readonly #digest: Readonly<Record<string, string>>

  constructor(random: Random) {
    super('indexedcp-id', random)
    this.#chunkBytes = Math.ceil(between(random, 1000, MAX_CHUNK))
    const digest = createHash('sha256').update(this.content).digest('base64')
    this.#digest = random() < 0.5 ? { 'Repr-Digest': `sha-256=:${digest}:` } : {}
  }

  get #count(): number {
    return Math.ceil(this.content.length / this.#chunkBytes)
  }

  async run(wire: Wire): Promise<void> {
    const missing = Array.from({ length: this.#count }, (_, index) => index)
      .filter((index) => !this.#taken.has(index))
      .sort(() => this.random() - 0.5)
    const lane = async (): Promise<void> => {
      for (let index = missing.pop(); index !== undefined; index = missing.pop()) {
        await this.#sendChunk(wire, index)
      }
    }
    await allEnded([lane(), lane()])
    if (!this.isDone) await this.#complete(wire)
  }

  async check(wire: Wire): Promise<void> {
    if (this.#taken.size === 0) return
    const answer = await wire.ask({ method: 'GET', path: `/upload/status?uploadId=${this.#id}` })
    this.expectStatus(answer, 200)
    const { offset } = JSON.parse(answer.text) as { offset: number }
    let taken = 0
    while (this.#taken.has(taken)) taken++
    const promised = Math.min(this.content.length, taken * this.#chunkBytes)
    if (offset >= promised) return
    throw new WrongAnswer(
      `${this.fileName}: lost: ${promised} were acknowledged, ${offset} are there`,
    )
  }

  async #sendChunk(wire: Wire, index: number): Promise<void> {
    const start = index * this.#chunkBytes
    const body = this.content.subarray(start, start + this.#chunkBytes)
    const headers = {
      'X-Chunk-Index': String(index),
      'X-File-Name': this.fileName,
      'X-Upload-Id': this.#id,
      'X-Chunk-Size': String(this.#chunkBytes),
      'X-Total-Size': String(this.content.length),
      ...this.#digest,
    }
    const answer = await wire.ask({ method: 'POST', path: '/upload', headers, body })
    this.expectStatus(answer, 200)
    this.#taken.add(index)
    this.noteAcknowledgement()
    const { complete } = JSON.parse(answer.text) as { complete: boolean }
    if (complete) this.isDone = true
  }

  /** Only an empty file has to be told: of any other the server knows. */
  async #complete(wire: Wire): Promise<void> {
    if (this.#count > 0) {
      throw new WrongAnswer(`${this.fileName}: all is acknowledged, and it is not complete`)
    }
    const headers = { 'X-Upload-Id': this.#id, 'X-File-Name': this.fileName, 'X-Total-Size': '0' }
    const chunk = { ...headers, 'X-Chunk-Index': '0' }
    const answer = await wire.ask({
      method: 'POST',
      path: '/upload',
      headers: chunk,
      body: Buffer.alloc(0),
    })
    this.expectStatus(answer, 200)
    this.noteAcknowledgement()
    this.isDone = true
  }
}
