/**
 * Takes chunks of clients that give no identity and never say that they are done, which are all that
 * exist. Each chunk goes behind the one before it, however the clients send them; the file at the
 * server grows with every acknowledgement.
 *
 * The same chunk again changes nothing. Another one in its place begins a new version of the file,
 * with the chunks before it, and leaves the old one as it is.
 */
import type { Readable } from 'node:stream'
import { isFerryError } from '../../errors.ts'
import type { UploadContent } from '../byte-source.ts'
import type { UploadCore } from '../upload-core.ts'
import { compareContent } from './compare-content.ts'
import type { ChunkFields } from './indexedcp-fields.ts'
import type { Versions } from './indexedcp-versions.ts'
import { type ChunkSender, SENDING_MS, startOfChunk, type Version } from './indexedcp-version.ts'
import { Refusal } from './refusal.ts'
import { type ReadPace, RequestReader } from './request-reader.ts'

/** A chunk as it comes. */
export interface AnonymousChunk extends Pick<ChunkFields, 'contentLength' | 'contentDigest'> {
  readonly sender: ChunkSender
  readonly content: Readable
  /** Gives the name for a new file; asked once for each. */
  readonly chooseName: () => Promise<string>
}

/** What its client is told. */
export interface TakenChunk {
  readonly storedName: string
  readonly alreadyReceived: boolean
}

// Chunks of one file that wait for one before them: more than any parallel client sends ahead.
const MAX_AHEAD = 1000

type Place = Pick<AnonymousChunk, 'contentLength' | 'contentDigest'> & {
  readonly content: UploadContent
}

/** Takes chunks into one core. */
export class AnonymousUploads {
  readonly #core: UploadCore
  readonly #versions: Versions
  readonly #pace: ReadPace
  /** Files for which a name is being chosen: their other chunks wait for it. */
  readonly #naming = new Map<string, Promise<unknown>>()

  constructor(core: UploadCore, versions: Versions, pace: ReadPace) {
    this.#core = core
    this.#versions = versions
    this.#pace = pace
  }

  /**
   * Resolves when the chunk is as safe as the core promises.
   * @throws {Refusal} 409, where it could belong to more than one file
   * @throws {UploadError} as the core does
   */
  async take(chunk: AnonymousChunk): Promise<TakenChunk> {
    for (let left = MAX_TRIES; ; left--) {
      const version = await this.#findOrAdd(chunk)
      if (!this.#versions.isOpen(version)) {
        this.#versions.forget(version)
        continue
      }
      version.users++
      try {
        await version.ready
        return await this.#takeInto(version, chunk)
      } catch (error) {
        // Another request has put the same chunk there a moment ago, or the upload was finished.
        const isLate = isFerryError(error, 'offset-mismatch') || !this.#versions.isOpen(version)
        if (!isLate || left === 1 || chunk.content.readableDidRead) throw error
      } finally {
        version.users--
      }
    }
  }

  async #findOrAdd(chunk: AnonymousChunk): Promise<Version> {
    const { sender } = chunk
    const file = JSON.stringify([sender.owner ?? null, sender.clientName])
    for (;;) {
      const naming = this.#naming.get(file)
      if (naming !== undefined) {
        await naming.catch(() => {})
        continue
      }
      const found = this.#versions.find(sender)
      if (found === 'ambiguous') throw ambiguous(sender)
      if (found !== undefined) return found
      return this.#whileNaming(file, async () =>
        this.#versions.add(sender, await chunk.chooseName()),
      )
    }
  }

  async #whileNaming<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
    const naming = work().finally(() => this.#naming.delete(file))
    this.#naming.set(file, naming)
    return await naming
  }

  async #takeInto(version: Version, chunk: AnonymousChunk): Promise<TakenChunk> {
    const { sender, content, contentLength, contentDigest } = chunk
    // It may be another client that has the same name for another file, so that neither is ended.
    for (;;) {
      const receiving = version.receiving.get(sender.index)
      if (receiving === undefined) break
      await receiving
    }
    const held = this.#versions.heldChunk(version, sender.index)
    if (held === undefined) {
      await this.#put(version, sender, { content, contentLength, contentDigest })
      return this.#taken(version, sender, false)
    }
    using source = new RequestReader(content, this.#pace)
    const compared = await compareContent(source, held)
    if (compared.isSame) return this.#taken(version, sender, true)
    const newer = this.#versions.add(sender, await chunk.chooseName(), version)
    newer.users++
    try {
      await newer.ready
      await this.#put(newer, sender, { content: compared.content, contentLength, contentDigest })
      return await this.#taken(newer, sender, false)
    } finally {
      newer.users--
    }
  }

  async #put(version: Version, sender: ChunkSender, place: Place): Promise<void> {
    const { receiving } = version
    const received = Promise.withResolvers<void>()
    receiving.set(sender.index, received.promise)
    this.#versions.touch(version, sender)
    try {
      await this.#receive(version, sender.index, place)
    } finally {
      receiving.delete(sender.index)
      received.resolve()
    }
    if (version.ahead.size > 0) await this.#versions.placeAhead(version)
  }

  /** Appends a chunk where it is the next, and keeps it apart where it is not. */
  async #receive(version: Version, index: number, place: Place): Promise<void> {
    const { content, contentLength, contentDigest: digest } = place
    const options = { contentLength, digest, piece: true }
    // Another request came first while a new version was made.
    if (index < version.ends.length || version.ahead.has(index)) throw overtaken(index)
    if (index === version.ends.length) {
      const start = startOfChunk(version.ends, index)
      const { offset } = await this.#core.append(version.id as string, start, content, options)
      version.ends.push(offset)
    } else {
      if (version.ahead.size >= MAX_AHEAD) throw tooFarAhead(version)
      const id = await this.#versions.createAhead(version, index)
      try {
        const { offset } = await this.#core.append(id, 0, content, options)
        version.ahead.set(index, { id, length: offset })
      } catch (error) {
        await this.#core.terminate(id).catch(() => {})
        throw error
      }
    }
  }

  async #taken(version: Version, sender: ChunkSender, isKnown: boolean): Promise<TakenChunk> {
    if (!version.isExposed && version.ends.length > 0) {
      version.storedName = (await this.#core.expose(version.id as string)).name
      version.isExposed = true
    }
    this.#versions.touch(version, sender)
    return { storedName: version.storedName, alreadyReceived: isKnown }
  }
}

const MAX_TRIES = 5

function ambiguous({ clientName }: ChunkSender): Refusal {
  return new Refusal(
    409,
    `Cannot tell which upload of ${JSON.stringify(clientName)} the chunk belongs to: ` +
      'two are under way from the same address; send X-Upload-Id',
    { 'Retry-After': String(SENDING_MS / 1000) },
  )
}

function overtaken(index: number): Refusal {
  return new Refusal(409, `Cannot take chunk ${index}: another request has just brought it`)
}

function tooFarAhead({ ends }: Version): Refusal {
  return new Refusal(409, `Cannot take more chunks before chunk ${ends.length} has come`)
}
