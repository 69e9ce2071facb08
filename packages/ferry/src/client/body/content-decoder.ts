/**
 * The content codings themselves: what node:zlib does for each, at once and as a stream, and what of
 * it is an error.
 *
 * Stricter than browsers: content that ends in the middle of its coding is an error, and so are bytes
 * behind its end. Go's net/http does the same; browsers drop them. (node:zlib keeps silent about one to
 * three bytes behind zstd that could begin another frame.) Several members of gzip
 * (RFC 1952 §2.2), or frames of zstd (RFC 8878 §3.1), one after the other are one content.
 */
import type { Transform } from 'node:stream'
import {
  type BrotliOptions,
  brotliDecompressSync,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdDecompressSync,
} from 'node:zlib'
import type { ContentCoding } from './content-codings.ts'

/** A stream of node:zlib; `bytesWritten` is what the coding has used of what it was given. */
export type Decoder = Transform & { readonly bytesWritten: number }

// As large as a read from a socket; smaller ones mean more trips to the thread pool.
const CHUNK_BYTES = 65_536
// Content that is short makes short pieces, of which memory is taken anew each time.
const MIN_CHUNK_BYTES = 1024
// RFC 9659 §3: as content coding, zstd has windows of at most 8 MB. The memory is taken before a byte
// has come out.
const ZSTD_PARAMS = { [constants.ZSTD_d_windowLogMax]: 23 }

/** Makes a stream that decodes; `first` is what it will be given first, at least one byte. */
export function createDecoder(coding: ContentCoding, first: Uint8Array): Decoder {
  const options = { chunkSize: CHUNK_BYTES }
  switch (coding) {
    case 'gzip':
      return createGunzip(options) as Decoder
    case 'deflate':
      return (isZlib(first) ? createInflate(options) : createInflateRaw(options)) as Decoder
    case 'br':
      return createBrotliDecompress(options) as Decoder
    case 'zstd':
      return createZstdDecompress({ ...options, params: ZSTD_PARAMS }) as Decoder
  }
}

/**
 * Decodes the whole of a content without leaving the thread: a trip to the thread pool costs more than
 * decoding what is short. Undefined when it would become longer than `maxBytes`.
 * @throws {Error} `explainDecodeError()` tells why
 */
export function decodeWhole(
  coding: ContentCoding,
  bytes: Buffer,
  maxBytes: number,
): Buffer | undefined {
  const chunkSize = Math.min(Math.max(bytes.length * 4, MIN_CHUNK_BYTES), CHUNK_BYTES)
  try {
    const result = decodeSync(coding, bytes, { chunkSize, maxOutputLength: maxBytes, info: true })
    // With `info` the result is not the bytes alone, which the types do not know.
    const { buffer, engine } = result as unknown as { buffer: Buffer; engine: Decoder }
    if (engine.bytesWritten < bytes.length) throw trailingBytesError()
    return buffer
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw error
  }
}

function decodeSync(
  coding: ContentCoding,
  bytes: Buffer,
  options: ZlibOptions & BrotliOptions & ZstdOptions,
): Buffer {
  switch (coding) {
    case 'gzip':
      return gunzipSync(bytes, options)
    case 'deflate':
      return isZlib(bytes) ? inflateSync(bytes, options) : inflateRawSync(bytes, options)
    case 'br':
      return brotliDecompressSync(bytes, options)
    case 'zstd':
      return zstdDecompressSync(bytes, { ...options, params: ZSTD_PARAMS })
  }
}

/**
 * Whether deflate has the frame of zlib, which RFC 9110 §8.4.1.2 asks for; some servers leave it out.
 * RFC 1950 §2.2: method 8, a window of at most 2^(7+8). A raw stream could only begin so with a
 * stored block and bits set where encoders have none.
 */
function isZlib(bytes: Uint8Array): boolean {
  return ((bytes[0] as number) & 0x8f) === 0x08
}

/** What is thrown when a content goes on behind its end. */
export function trailingBytesError(): Error {
  return new Error('bytes follow its end')
}

/** Says what is wrong with content in that coding. */
export function explainDecodeError(coding: ContentCoding, error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'Z_BUF_ERROR'
    ? `the ${coding} content ends in the middle`
    : `the ${coding} content is corrupt: ${message}`
}
