/** Digests of what is sent. */
import type { Span } from '../transfer/span.ts'
import type { UploadSource } from './upload-source.ts'

/** A digest that is being made. */
export interface StreamingHash {
  update(bytes: Uint8Array): unknown
  digest(encoding: 'hex'): string
}

/** Begins a digest: `createHash` of node:crypto, or what a browser has in its place. */
export type CreateHash = (algorithm: 'sha256' | 'sha1') => StreamingHash | Promise<StreamingHash>

/** How a digest is made. */
export interface DigestOptions {
  readonly createHash: CreateHash
  readonly signal: AbortSignal
}

/** Reads a span of a source, which has been prepared. @returns hex */
export async function digestOf(
  source: UploadSource,
  algorithm: 'sha256' | 'sha1',
  { span, createHash, signal }: DigestOptions & { readonly span: Span },
): Promise<string> {
  const hash = await createHash(algorithm)
  const content = await source.content(span, signal)
  if (content instanceof Uint8Array) {
    hash.update(content)
    return hash.digest('hex')
  }
  for await (const piece of content.open(signal)) {
    signal.throwIfAborted()
    hash.update(piece)
  }
  return hash.digest('hex')
}

/**
 * SHA-256 of the whole in hex: the one that is known, or, where digests are wanted, one that is made;
 * undefined for a stream, whose bytes cannot be had before they are sent.
 */
export async function wholeDigestOf(
  source: UploadSource,
  { isWanted, ...options }: DigestOptions & { readonly isWanted: boolean },
): Promise<string | undefined> {
  const { sha256, size, maxPieceBytes, keptFrom } = source
  const isReadable = size !== undefined && size <= maxPieceBytes && keptFrom === 0
  if (sha256 !== undefined || !isWanted || !isReadable) return sha256
  return await digestOf(source, 'sha256', { ...options, span: { start: 0, end: size } })
}
