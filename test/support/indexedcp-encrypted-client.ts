/**
 * A client of IndexedCP's encrypted mode, written from its protocol: a session for each file, its key
 * wrapped with the server's, every chunk sealed with an IV of its own.
 */
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto'

/** What a server tells of its key. */
export interface PublicKeyAnswer {
  readonly publicKey: string
  readonly kid: string
  readonly expiresAt: number
}

/** A chunk as it is sent. */
export interface PacketFields {
  readonly ciphertext: string
  readonly iv: string
  readonly authTag: string
  readonly aad: string
  readonly seq: number
}

/** What a server has answered. */
export interface EncryptedAnswer {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

/** Where and as whom; the base URL, without a path. */
export interface EncryptedClientOptions {
  readonly url: string
  readonly key: string
}

/** One file on its way. */
export class EncryptedSession {
  readonly sessionId: string = randomBytes(16).toString('hex')
  readonly #options: EncryptedClientOptions
  readonly #sessionKey = randomBytes(32)
  readonly #fileName: string
  readonly #kid: string
  readonly #wrappedKey: string

  constructor(
    options: EncryptedClientOptions,
    fileName: string,
    { publicKey, kid }: PublicKeyAnswer,
  ) {
    this.#options = options
    this.#fileName = fileName
    this.#kid = kid
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const wrapped = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, this.#sessionKey)
    this.#wrappedKey = wrapped.toString('base64')
  }

  static async begin(options: EncryptedClientOptions, fileName: string): Promise<EncryptedSession> {
    const response = await fetch(`${options.url}/public-key`)
    return new EncryptedSession(options, fileName, (await response.json()) as PublicKeyAnswer)
  }

  /** What every request of the session tells. */
  get envelope(): Readonly<Record<string, string>> {
    const { sessionId } = this
    return { sessionId, kid: this.#kid, wrappedKey: this.#wrappedKey, fileName: this.#fileName }
  }

  seal(chunk: Buffer, seq: number): PacketFields {
    const iv = randomBytes(12)
    const { sessionId } = this
    const aad = Buffer.from(JSON.stringify({ sessionId, seq, codec: 'raw', timestamp: Date.now() }))
    const cipher = createCipheriv('aes-256-gcm', this.#sessionKey, iv)
    cipher.setAAD(aad)
    const ciphertext = Buffer.concat([cipher.update(chunk), cipher.final()])
    return {
      ciphertext: ciphertext.toString('base64'),
      iv: iv.toString('base64'),
      authTag: cipher.getAuthTag().toString('base64'),
      aad: aad.toString('base64'),
      seq,
    }
  }

  /** One chunk, as the client sends a file that has no more. */
  send(packet: PacketFields): Promise<EncryptedAnswer> {
    return this.post('/upload-encrypted', { ...this.envelope, ...packet })
  }

  /** Several, as the client sends whatever is left of a file. */
  sendBatch(packets: readonly PacketFields[]): Promise<EncryptedAnswer> {
    return this.post('/upload-encrypted-batch', { ...this.envelope, packets })
  }

  async post(path: string, content: object | string): Promise<EncryptedAnswer> {
    const { url, key } = this.#options
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
      body: typeof content === 'string' ? content : JSON.stringify(content),
    })
    const json = (await response.json()) as EncryptedAnswer['json']
    return { status: response.status, json }
  }
}
