/** IndexedCP's encrypted mode: a client written from its protocol, at a server of ours. */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { KeyRing, UploadServer, type UploadFolderServerOptions } from 'ferry/receive'
import { expect, test } from 'vitest'
import { EncryptedSession, type PublicKeyAnswer } from '../support/indexedcp-encrypted-client.ts'
import { TempDir } from '../support/temp-dir.ts'

const KEY = 'b'.repeat(64)
const CHUNK = 65_536
const CONTENT = randomBytes(CHUNK * 4 + 1000)
const CHUNKS = cut(CONTENT)

function cut(content: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(content.length / CHUNK) }, (_, index) =>
    content.subarray(index * CHUNK, (index + 1) * CHUNK),
  )
}

/** A server with its folder. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly #options: UploadFolderServerOptions
  #server: UploadServer | undefined
  url = ''

  private constructor(dir: TempDir, options: UploadFolderServerOptions) {
    this.dir = dir
    this.#options = options
  }

  static async open(options: UploadFolderServerOptions = {}): Promise<Site> {
    const dir = await TempDir.create()
    // Small, so that keys are made at once.
    const encryption = { folder: dir.join('.ferry/keys'), modulusBits: 2048 }
    const site = new Site(dir, { keys: KeyRing.of(KEY), encryption, ...options })
    await site.start()
    return site
  }

  async start(): Promise<void> {
    this.#server = await UploadServer.open(this.dir.path, this.#options)
    this.url = await this.#server.listen()
  }

  async stop(): Promise<void> {
    await this.#server?.close()
  }

  begin(fileName: string): Promise<EncryptedSession> {
    return EncryptedSession.begin({ url: this.url, key: KEY }, fileName)
  }

  async publicKey(): Promise<PublicKeyAnswer> {
    return (await (await fetch(`${this.url}/public-key`)).json()) as PublicKeyAnswer
  }

  async names(): Promise<string[]> {
    return (await this.dir.names()).filter((name) => name !== '.ferry')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.dir[Symbol.asyncDispose]()
  }
}

test('a file of one chunk is decrypted and saved', async () => {
  await using site = await Site.open()
  const session = await site.begin('/home/u/secret.txt')

  const answer = await session.send(session.seal(Buffer.from('hello'), 0))

  expect(answer).toEqual({
    status: 200,
    json: { message: 'Packet decrypted and saved', actualFilename: 'secret.txt' },
  })
  expect(await site.dir.read('secret.txt')).toEqual(Buffer.from('hello'))
})

test('a file of several chunks comes in a batch', async () => {
  await using site = await Site.open()
  const session = await site.begin('a.bin')

  const answer = await session.sendBatch(CHUNKS.map((chunk, seq) => session.seal(chunk, seq)))

  expect(answer).toEqual({
    status: 200,
    json: { message: 'Packets decrypted and saved', actualFilename: 'a.bin', packetCount: 5 },
  })
  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
})

test('chunks one by one, in any order and again, end up in their places', async () => {
  await using site = await Site.open()
  const session = await site.begin('a.bin')

  for (const seq of [2, 0, 4, 0, 1, 3, 3]) {
    const answer = await session.send(session.seal(CHUNKS[seq] as Buffer, seq))
    expect(answer).toMatchObject({ status: 200, json: { actualFilename: 'a.bin' } })
  }

  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
  expect(await site.names()).toEqual(['a.bin'])
})

test('a batch that is larger than a packet may be is taken packet by packet', async () => {
  await using site = await Site.open({ indexedcp: { maxPacketBytes: 100_000 } })
  const session = await site.begin('a.bin')

  const tooLarge = await session.send(session.seal(randomBytes(100_000), 0))
  const batch = await session.sendBatch(CHUNKS.map((chunk, seq) => session.seal(chunk, seq)))

  expect(tooLarge.status).toBe(413)
  expect(batch.status).toBe(200)
  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
})

test('after a packet that was changed, those before it stay, and the batch can come again', async () => {
  await using site = await Site.open()
  const session = await site.begin('a.bin')
  const packets = CHUNKS.map((chunk, seq) => session.seal(chunk, seq))
  const changed = packets.map((packet, seq) =>
    seq === 2 ? { ...packet, authTag: Buffer.alloc(16).toString('base64') } : packet,
  )

  const refused = await session.sendBatch(changed)
  expect(refused).toMatchObject({ status: 400, json: { error: 'Decryption failed' } })
  expect(await site.dir.read('a.bin')).toEqual(CONTENT.subarray(0, CHUNK * 2))
  const accepted = await session.sendBatch(packets)

  expect(accepted.status).toBe(200)
  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
  expect(await site.names()).toEqual(['a.bin'])
})

test('a chunk cannot be put in the place of another', async () => {
  await using site = await Site.open()
  const session = await site.begin('a.bin')
  const other = await site.begin('a.bin')
  const packet = session.seal(CHUNKS[0] as Buffer, 0)

  const moved = await session.send({ ...packet, seq: 1 })
  const stolen = await other.send(packet)

  expect([moved.status, stolen.status]).toEqual([400, 400])
  expect(await site.names()).toEqual([])
})

test.each([
  ['no JSON', '{'],
  ['nothing', {}],
  ['no object', '[]'],
  ['a batch of nothing', { packets: [] }],
  ['a batch of numbers', { packets: [1] }],
])('%s is refused in the words of the protocol', async (_, content) => {
  await using site = await Site.open()
  const session = await site.begin('a.bin')

  for (const path of ['/upload-encrypted', '/upload-encrypted-batch']) {
    const answer = await session.post(path, content)
    expect(answer).toMatchObject({ status: 400, json: { error: 'Invalid packet structure' } })
  }
})

test('another content in a new session is a new version of the file', async () => {
  await using site = await Site.open()
  const first = await site.begin('a.bin')
  await first.sendBatch(CHUNKS.map((chunk, seq) => first.seal(chunk, seq)))
  const other = [CHUNKS[0] as Buffer, randomBytes(500)]
  const second = await site.begin('a.bin')

  const answer = await second.sendBatch(other.map((chunk, seq) => second.seal(chunk, seq)))

  expect(answer.json['actualFilename']).toBe('a (1).bin')
  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
  expect(await site.dir.read('a (1).bin')).toEqual(Buffer.concat(other))
})

test('keys are rotated by whoever may; what is sealed for an older one is still opened', async () => {
  await using site = await Site.open()
  const before = await site.publicKey()
  const session = await site.begin('a.bin')
  const [first, ...rest] = CHUNKS.map((chunk, seq) => session.seal(chunk, seq))

  const refused = await fetch(`${site.url}/rotate-keys`, { method: 'POST' })
  const rotated = await session.post('/rotate-keys', '')
  const after = await site.publicKey()

  expect(refused.status).toBe(401)
  expect(rotated).toEqual({
    status: 200,
    json: { message: 'Keys rotated successfully', newKeyId: after.kid },
  })
  expect(after.kid).not.toBe(before.kid)
  expect(after.expiresAt).toBeGreaterThan(Date.now())
  expect(await session.send(first as never)).toMatchObject({ status: 200 })
  await site.stop()
  await site.start()
  expect((await site.publicKey()).kid).toBe(after.kid)
  const answers = [
    await siteSession(site, session, rest.slice(0, 1)),
    await siteSession(site, session, rest.slice(1)),
  ]

  expect(answers).toEqual([200, 200])
  expect(await site.dir.read('a.bin')).toEqual(CONTENT)
  expect(await readdir(site.dir.join('.ferry/keys'))).toHaveLength(2)
})

test('without the option there is no encrypted mode, and its paths are unknown', async () => {
  await using site = await Site.open({ encryption: false })
  const headers = { Authorization: `Bearer ${KEY}` }

  const statuses = [
    (await fetch(`${site.url}/public-key`)).status,
    (await fetch(`${site.url}/public-key`, { headers })).status,
    (await fetch(`${site.url}/upload-encrypted`, { method: 'POST', headers, body: '{}' })).status,
    (await fetch(`${site.url}/rotate-keys`, { method: 'POST', headers })).status,
  ]

  expect(statuses).toEqual([401, 404, 404, 404])
})

/** Sends packets of a session to another start of the server. */
async function siteSession(
  site: Site,
  { envelope }: EncryptedSession,
  packets: readonly object[],
): Promise<number> {
  const response = await fetch(`${site.url}/upload-encrypted-batch`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ ...envelope, packets }),
  })
  return response.status
}
