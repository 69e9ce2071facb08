/** Digests of what is sent. */
import { createHash } from 'node:crypto'
import type { Span } from '../transfer/span.ts'
import type { UploadSource } from './upload-source.ts'

/** Reads a span of a source, which has been prepared. @returns hex */
export async function digestOf(
  source: UploadSource,
  algorithm: 'sha256' | 'sha1',
  { span, signal }: { readonly span: Span; readonly signal: AbortSignal },
): Promise<string> {
  const hash = createHash(algorithm)
  const content = await source.content(span, signal)
  if (content instanceof Uint8Array) return hash.update(content).digest('hex')
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
  { isWanted, signal }: { readonly isWanted: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const { sha256, size, maxPieceBytes, keptFrom } = source
  const isReadable = size !== undefined && size <= maxPieceBytes && keptFrom === 0
  if (sha256 !== undefined || !isWanted || !isReadable) return sha256
  return await digestOf(source, 'sha256', { span: { start: 0, end: size }, signal })
}
