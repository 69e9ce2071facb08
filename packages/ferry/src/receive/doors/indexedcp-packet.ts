/**
 * The packets of IndexedCP's encrypted mode: chunks under AES-256-GCM, and what they belong to. Pure.
 *
 * What is authenticated with a packet has to tell the session and the place that the packet claims, so
 * that nobody on the way can give it another place.
 */
import { createDecipheriv } from 'node:crypto'
import { MAX_INDEX, MAX_NAME_LENGTH } from './indexedcp-fields.ts'
import { TitledRefusal } from './indexedcp-refusal.ts'

/** What packets of one file share. */
export interface PacketEnvelope {
  readonly sessionId: string
  /** The key that `wrappedKey` is encrypted to. */
  readonly kid: string
  /** The key of the session. */
  readonly wrappedKey: Buffer
  /** The name as the client has it. */
  readonly fileName: string
}

/** One chunk. */
export interface SealedPacket {
  /** Its place, as the index of a chunk. */
  readonly seq: number
  readonly ciphertext: Buffer
  readonly iv: Buffer
  readonly authTag: Buffer
  readonly aad: Buffer
}

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
// As long as what a modulus of 16,384 bits encrypts.
const MAX_WRAPPED_BYTES = 2048
const MAX_AAD_BYTES = 4096

type Members = Readonly<Record<string, unknown>>

/** @throws {TitledRefusal} 400, in the words of the protocol */
export function parsePacketJson(text: string): Members {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalidPacket('it is no JSON')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members
  throw invalidPacket('it is no object')
}

/** @throws {TitledRefusal} 400 */
export function toEnvelope(members: Members): PacketEnvelope {
  const { sessionId, kid, fileName } = members
  if (typeof sessionId !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(sessionId)) {
    throw invalidPacket('it has no sessionId')
  }
  if (typeof kid !== 'string') throw invalidPacket('it has no kid')
  if (typeof fileName !== 'string' || fileName === '' || fileName.length > MAX_NAME_LENGTH) {
    throw invalidPacket('it has no fileName')
  }
  const wrappedKey = bytesOf(members, 'wrappedKey')
  if (wrappedKey.length > MAX_WRAPPED_BYTES) throw invalidPacket('its wrappedKey is too long')
  return { sessionId, kid, wrappedKey, fileName }
}

/** @throws {TitledRefusal} 400 */
export function toPacket(members: Members): SealedPacket {
  const { seq } = members
  if (typeof seq !== 'number' || !Number.isInteger(seq) || seq < 0 || seq > MAX_INDEX) {
    throw invalidPacket(`its seq is no whole number from 0 to ${MAX_INDEX}`)
  }
  const iv = bytesOf(members, 'iv')
  const authTag = bytesOf(members, 'authTag')
  const aad = bytesOf(members, 'aad')
  // A shorter tag would be easier to guess.
  if (iv.length !== IV_BYTES || authTag.length !== TAG_BYTES || aad.length > MAX_AAD_BYTES) {
    throw invalidPacket('its iv, authTag or aad has a wrong length')
  }
  return { seq, ciphertext: bytesOf(members, 'ciphertext'), iv, authTag, aad }
}

/**
 * Gives the bytes of a chunk.
 * @throws {TitledRefusal} 400, for a packet that was changed, or is for another place
 */
export function openPacket(packet: SealedPacket, sessionId: string, key: Buffer): Buffer {
  const { seq, ciphertext, iv, authTag, aad } = packet
  if (key.length !== KEY_BYTES) throw notDecrypted()
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(authTag)
  let bytes: Buffer
  try {
    const first = decipher.update(ciphertext)
    const last = decipher.final()
    bytes = last.length === 0 ? first : Buffer.concat([first, last])
  } catch {
    throw notDecrypted()
  }
  const told = parseAad(aad)
  if (
    told['sessionId'] !== sessionId ||
    told['seq'] !== seq ||
    (told['codec'] ?? 'raw') !== 'raw'
  ) {
    throw notDecrypted()
  }
  return bytes
}

/** For whatever cannot be opened: why is nobody's business. */
export function notDecrypted(): TitledRefusal {
  return new TitledRefusal(400, 'Decryption failed', 'Cannot decrypt the packet')
}

function parseAad(aad: Buffer): Members {
  try {
    return parsePacketJson(aad.toString())
  } catch {
    throw notDecrypted()
  }
}

function bytesOf(members: Members, name: string): Buffer {
  const text = members[name]
  if (typeof text !== 'string') throw invalidPacket(`it has no ${name}`)
  return Buffer.from(text, 'base64')
}

/** @param why about the packet, as `it` */
export function invalidPacket(why: string): TitledRefusal {
  return new TitledRefusal(400, 'Invalid packet structure', `Cannot read the packet: ${why}`)
}
