/** What an upload from a page or worker is made of. */
import { createSHA1, createSHA256 } from 'hash-wasm'
import { systemClock } from '../../clock.ts'
import { RateLimit } from '../../transfer/rate-limit.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { MemorySource } from '../memory-source.ts'
import type { CreateHash } from '../source-digest.ts'
import { StreamSource } from '../stream-source.ts'
import { Upload, type UploadParts } from '../upload-handle.ts'
import { checkUploadSettings, type UploadSettings } from '../upload-settings.ts'
import type { UploadSource } from '../upload-source.ts'
import { BlobSource, nameOfBlob } from './blob-source.ts'
import type { SendingScope } from './xhr-types.ts'
import { XhrWire } from './xhr-wire.ts'

/** Settings of an upload from a page or worker. */
export interface BrowserUploadOptions extends UploadSettings {
  /** Sends cookies to other origins, too, where the server lets pages do so. @defaultValue false */
  readonly withCredentials?: boolean | undefined
}

/**
 * What can be sent: a File or other Blob, or bytes, which must not change meanwhile; a stream, which is
 * read once; or a source of one's own, which stays its maker's to close.
 */
export type BrowserUploadInput = Blob | Uint8Array | AsyncIterable<Uint8Array> | UploadSource

/**
 * Starts to send `input` to the server at `url`, which may be relative to the page. Nothing is kept for
 * a later run of the page but what `onNote` is told, by which the same File goes on when it is chosen
 * again; an UploadClient keeps the bytes, too.
 * @throws {ConfigError} at once, for a URL or option that cannot be used; everything else comes
 * through `result`
 */
export function upload(
  input: BrowserUploadInput,
  url: string | URL,
  options: BrowserUploadOptions = {},
): Upload {
  checkUploadSettings(options)
  const parts = {
    ...createParts(options),
    openSource: () => openSource(input, options),
    ownsSource: !isSource(input),
  }
  return new Upload(resolveUrl(url), parts, options)
}

/** All but the source. */
export function createParts(
  options: Omit<BrowserUploadOptions, 'onEvent'>,
): Omit<UploadParts, 'openSource' | 'ownsSource'> {
  const { clock = systemClock, stallTimeoutMs, answerTimeoutMs, withCredentials } = options
  const limit = new RateLimit(options.limitBytesPerSecond, options.limit)
  return {
    wire: new XhrWire({ limit, clock, stallTimeoutMs, answerTimeoutMs, withCredentials }),
    closeWire: () => Promise.resolve(),
    limit,
    createHash,
    onOnline,
  }
}

/** @throws {ConfigError} */
export function resolveUrl(url: string | URL): HttpUrl {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  return HttpUrl.parse(url, location === undefined ? undefined : HttpUrl.parse(location.href))
}

/** Calls when the browser believes that it is online again, which says nothing of the server. */
export function onOnline(callback: () => void): () => void {
  const scope = globalThis as unknown as SendingScope
  scope.addEventListener?.('online', callback)
  return () => scope.removeEventListener?.('online', callback)
}

/** Web Crypto digests nothing but wholes, which would have to be in memory. */
const createHash: CreateHash = (algorithm) =>
  algorithm === 'sha256' ? createSHA256() : createSHA1()

async function openSource(
  input: BrowserUploadInput,
  options: BrowserUploadOptions,
): Promise<UploadSource> {
  if (isSource(input)) return input
  const { name = 'upload', type, chunkBytes } = options
  if (input instanceof Blob) {
    return await BlobSource.open(input, { name: options.name ?? nameOfBlob(input) ?? name, type })
  }
  if (input instanceof Uint8Array) return new MemorySource(input, { name, type })
  return new StreamSource(input, { name, type, maxPieceBytes: chunkBytes })
}

function isSource(input: BrowserUploadInput): input is UploadSource {
  return 'prepare' in input && 'content' in input && 'release' in input
}
