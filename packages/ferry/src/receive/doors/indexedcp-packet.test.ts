import { createCipheriv, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  openPacket,
  parsePacketJson,
  type SealedPacket,
  toEnvelope,
  toPacket,
} from './indexedcp-packet.ts'

const SESSION = 'a'.repeat(32)
const KEY = Buffer.alloc(32, 7)
const BYTES = Buffer.from('the bytes of a chunk')

function seal(
  told: object = { sessionId: SESSION, seq: 3, codec: 'raw', timestamp: 1 },
): SealedPacket {
  const iv = randomBytes(12)
  const aad = Buffer.from(JSON.stringify(told))
  const cipher = createCipheriv('aes-256-gcm', KEY, iv)
  cipher.setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(BYTES), cipher.final()])
  return { seq: 3, ciphertext, iv, authTag: cipher.getAuthTag(), aad }
}

function flip(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  changed[0] = (changed[0] as number) ^ 1
  return changed
}

test('openPacket() gives the bytes of a packet that is as it was sealed', () => {
  expect(openPacket(seal(), SESSION, KEY)).toEqual(BYTES)
  expect(openPacket(seal({ sessionId: SESSION, seq: 3 }), SESSION, KEY)).toEqual(BYTES)
})

test.each<[string, (packet: SealedPacket) => SealedPacket]>([
  ['its ciphertext', (packet) => ({ ...packet, ciphertext: flip(packet.ciphertext) })],
  [
    'the end of its ciphertext',
    (packet) => ({ ...packet, ciphertext: packet.ciphertext.subarray(1) }),
  ],
  ['its iv', (packet) => ({ ...packet, iv: flip(packet.iv) })],
  ['its tag', (packet) => ({ ...packet, authTag: flip(packet.authTag) })],
  ['what is authenticated with it', (packet) => ({ ...packet, aad: flip(packet.aad) })],
  ['its place', (packet) => ({ ...packet, seq: 4 })],
])('openPacket() refuses a packet when somebody has changed %s', (_, change) => {
  expect(() => openPacket(change(seal()), SESSION, KEY)).toThrow(
    expect.objectContaining({ status: 400, title: 'Decryption failed' }),
  )
})

test.each([
  ['of another session', seal(), 'b'.repeat(32), KEY],
  ['under another key', seal(), SESSION, Buffer.alloc(32, 8)],
  ['under half a key', seal(), SESSION, KEY.subarray(16)],
  [
    'in a codec that is not known',
    seal({ sessionId: SESSION, seq: 3, codec: 'zip' }),
    SESSION,
    KEY,
  ],
  ['that does not tell its place', seal([]), SESSION, KEY],
])('openPacket() refuses a packet %s', (_, packet, session, key) => {
  expect(() => openPacket(packet, session, key)).toThrow(
    expect.objectContaining({ status: 400, title: 'Decryption failed' }),
  )
})

const ENVELOPE = { sessionId: SESSION, kid: '0123456789abcdef', wrappedKey: 'AAAA', fileName: 'a' }
const PACKET = {
  seq: 0,
  ciphertext: '',
  iv: Buffer.alloc(12).toString('base64'),
  authTag: Buffer.alloc(16).toString('base64'),
  aad: '',
}

test('toEnvelope() and toPacket() read what clients send, an empty chunk too', () => {
  expect(toEnvelope(ENVELOPE)).toMatchObject({ kid: ENVELOPE.kid, wrappedKey: Buffer.alloc(3) })
  expect(toPacket(PACKET)).toMatchObject({ seq: 0, ciphertext: Buffer.alloc(0) })
})

test.each([
  ['no session', { sessionId: undefined }],
  ['a session that is no text', { sessionId: 7 }],
  ['a session with a line break', { sessionId: 'a\nb' }],
  ['no kid', { kid: null }],
  ['no name', { fileName: '' }],
  ['a name of 5,000 characters', { fileName: 'x'.repeat(5000) }],
  ['no wrapped key', { wrappedKey: undefined }],
  ['a wrapped key of 10 KB', { wrappedKey: 'A'.repeat(10_000) }],
])('toEnvelope() refuses %s', (_, change) => {
  expect(() => toEnvelope({ ...ENVELOPE, ...change })).toThrow(
    expect.objectContaining({ status: 400, title: 'Invalid packet structure' }),
  )
})

test.each([
  ['no place', { seq: undefined }],
  ['a place below 0', { seq: -1 }],
  ['a place between two', { seq: 1.5 }],
  ['a huge place', { seq: 1e15 }],
  ['a short iv', { iv: 'AAAA' }],
  ['a short tag', { authTag: 'AAAA' }],
  ['no ciphertext', { ciphertext: undefined }],
  ['10 KB that are authenticated', { aad: 'A'.repeat(10_000) }],
])('toPacket() refuses %s', (_, change) => {
  expect(() => toPacket({ ...PACKET, ...change })).toThrow(
    expect.objectContaining({ status: 400, title: 'Invalid packet structure' }),
  )
})

test.each([[''], ['{'], ['[]'], ['null'], ['"a"'], ['1']])(
  'parsePacketJson() refuses %j',
  (text) => {
    expect(() => parsePacketJson(text)).toThrow(
      expect.objectContaining({ status: 400, title: 'Invalid packet structure' }),
    )
  },
)
