/**
 * Checksums behind the content (tus, checksum-trailer). Which algorithm it is comes behind the content
 * too, so that all of them are computed on the way.
 */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { UploadError } from '../../errors.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import { Refusal } from './refusal.ts'
import { parseChecksum } from './tus-fields.ts'

/** Whether a request announces that its checksum comes behind its content. */
export function hasChecksumTrailer({ headers }: IncomingMessage): boolean {
  return /(?:^|,)[ \t]*upload-checksum[ \t]*(?:,|$)/i.test(headers['trailer'] ?? '')
}

/** Content, and a digest of it that can be read once it has ended. */
export class TrailerContent implements Digest {
  /** What the core computes; others are compared here. */
  readonly algorithm: DigestAlgorithm = 'sha1'
  readonly #request: IncomingMessage
  readonly #hashes = new Map<DigestAlgorithm, Hash>(
    (['sha1', 'sha256', 'sha512', 'md5'] as const).map((name) => [name, createHash(name)]),
  )

  constructor(request: IncomingMessage) {
    this.#request = request
  }

  /** @throws {Refusal | UploadError} when there is no checksum, or another one */
  get hex(): string {
    const field = this.#request.trailers['upload-checksum']
    if (field === undefined)
      throw new Refusal(400, 'Cannot take the content: its checksum is missing')
    const { algorithm, hex } = parseChecksum(field)
    if (algorithm === this.algorithm) return hex
    const actual = this.#digestBy(algorithm)
    if (actual === hex) return this.#digestBy(this.algorithm)
    throw new UploadError(
      'digest-mismatch',
      `Cannot accept the content: expected ${algorithm} ${hex}, got ${actual}`,
      { detail: { algorithm, expected: hex, actual } },
    )
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    // The answer needs the connection.
    for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
      for (const hash of this.#hashes.values()) hash.update(chunk as Uint8Array)
      yield chunk as Uint8Array
    }
  }

  #digestBy(algorithm: DigestAlgorithm): string {
    return (this.#hashes.get(algorithm) as Hash).digest('hex')
  }
}
