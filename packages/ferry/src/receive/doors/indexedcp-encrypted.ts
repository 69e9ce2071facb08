/**
 * Takes the encrypted packets of IndexedCP clients: one by one, or in batches of any length. Opened,
 * a packet is a chunk like any other, and its session is what tells the chunks of one file from those
 * of another.
 */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { EncryptionKeys } from '../encryption-keys.ts'
import { Turns } from '../turns.ts'
import type { AnonymousUploads } from './indexedcp-anonymous.ts'
import {
  invalidPacket,
  notDecrypted,
  openPacket,
  type PacketEnvelope,
  parsePacketJson,
  toEnvelope,
  toPacket,
} from './indexedcp-packet.ts'
import { PacketSplitter } from './packet-splitter.ts'
import { Refusal } from './refusal.ts'
import { type ReadPace, RequestReader } from './request-reader.ts'

/** A request with packets. */
export interface PacketRequest {
  readonly owner: string | undefined
  readonly request: IncomingMessage
  /** Who sends it: address and program. */
  readonly peer: string
  /** Gives the name for a new file. */
  readonly chooseName: (clientName: string, index: number) => Promise<string>
}

/** What the client is told. */
export interface TakenPackets {
  /** The name at the server. */
  readonly storedName: string
  readonly count: number
}

/** What packets are taken with. */
export interface EncryptedOptions {
  readonly anonymous: AnonymousUploads
  readonly keys: EncryptionKeys
  readonly pace: ReadPace
  /** Of one packet, as JSON. */
  readonly maxPacketBytes: number
}

/** What was opened of a session; its chunks are known by it. */
interface Session {
  readonly sessionId: string
  readonly key: Buffer
}

// A packet is in memory as text, as ciphertext and as plaintext. Others of an owner wait unread.
const MAX_REQUESTS_PER_OWNER = 4
const MAX_ENVELOPE_BYTES = 65_536
// To unwrap a key costs as much as to open 10 MB.
const MAX_SESSIONS = 1000

/** Takes packets into one core. */
export class EncryptedUploads {
  readonly #options: EncryptedOptions
  readonly #turns = new Map<string | undefined, Turns>()
  /** Those that were used last, in the order of their last use. */
  readonly #sessions = new Map<string, Session>()

  constructor(options: EncryptedOptions) {
    this.#options = options
  }

  /**
   * Resolves when the packet is as safe as the core promises.
   * @throws {Refusal} 400, 413; and as chunks do
   */
  async takeOne(asked: PacketRequest): Promise<TakenPackets> {
    using _ = await this.#turnsOf(asked.owner).take()
    const members = parsePacketJson(await this.#readAll(asked.request))
    const envelope = toEnvelope(members)
    const session = await this.#openSession(envelope, asked.owner)
    return { storedName: await this.#take(asked, { session, envelope, members }), count: 1 }
  }

  /**
   * Resolves when all packets of a batch are as safe as the core promises. Each counts when it has
   * come: after a failure those before it stay, and may come again.
   * @throws {Refusal} 400, 413; and as chunks do
   */
  async takeBatch(asked: PacketRequest): Promise<TakenPackets> {
    using _ = await this.#turnsOf(asked.owner).take()
    const { maxPacketBytes, pace } = this.#options
    const splitter = new PacketSplitter({ maxPacketBytes, maxEnvelopeBytes: MAX_ENVELOPE_BYTES })
    using source = new RequestReader(asked.request, pace)
    let storedName: string | undefined
    let count = 0
    for (let read = await source.next(); read.done !== true; read = await source.next()) {
      for (const packet of splitter.push(read.value as Buffer)) {
        const envelope = toEnvelope(parsePacketJson(splitter.envelope))
        const session = await this.#openSession(envelope, asked.owner)
        const members = parsePacketJson(packet)
        // A later one may turn out to be of a new version of the file.
        storedName = await this.#take(asked, { session, envelope, members })
        count++
      }
    }
    parsePacketJson(splitter.envelope)
    if (storedName === undefined) throw invalidPacket('the batch has none')
    return { storedName, count }
  }

  /** There are no more owners than keys. */
  #turnsOf(owner: string | undefined): Turns {
    const turns = this.#turns.get(owner) ?? new Turns(MAX_REQUESTS_PER_OWNER)
    this.#turns.set(owner, turns)
    return turns
  }

  /** @throws {Refusal} 413 */
  async #readAll(request: IncomingMessage): Promise<string> {
    const { maxPacketBytes, pace } = this.#options
    using source = new RequestReader(request, pace)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for (let read = await source.next(); read.done !== true; read = await source.next()) {
      bytes += read.value.length
      if (bytes > maxPacketBytes) throw new Refusal(413, 'Cannot take so large a packet')
      chunks.push(read.value)
    }
    return Buffer.concat(chunks).toString()
  }

  /** @throws {Refusal} 400, for a key that is unknown, and one that cannot be unwrapped */
  async #openSession(envelope: PacketEnvelope, owner: string | undefined): Promise<Session> {
    const { sessionId, kid, wrappedKey } = envelope
    const id = JSON.stringify([owner ?? null, sessionId, kid, wrappedKey.toString('base64')])
    const known = this.#sessions.get(id)
    const key = known?.key ?? (await this.#options.keys.unwrap(kid, wrappedKey))
    if (key === undefined) throw notDecrypted()
    // Another request may have opened it meanwhile.
    const session = this.#sessions.get(id) ?? { sessionId, key }
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(oldest as string)
    return session
  }

  async #take(
    { owner, peer, chooseName }: PacketRequest,
    {
      session,
      envelope,
      members,
    }: {
      readonly session: Session
      readonly envelope: PacketEnvelope
      readonly members: ReturnType<typeof parsePacketJson>
    },
  ): Promise<string> {
    const packet = toPacket(members)
    const bytes = openPacket(packet, session.sessionId, session.key)
    const { fileName: clientName } = envelope
    const { seq: index } = packet
    const { storedName } = await this.#options.anonymous.take({
      sender: { owner, clientName, index, peer, channel: session },
      content: Readable.from(bytes.length === 0 ? [] : [bytes]),
      contentLength: bytes.length,
      contentDigest: undefined,
      chooseName: () => chooseName(clientName, index),
    })
    return storedName
  }
}
