/** The reads that a TcpClient offers, as pure decisions over what has come; see `TcpRead`. */
import { RemoteProtocolError } from '../errors.ts'
import type { TcpRead } from './tcp-client-connection.ts'

const LF = 0x0a
const CR = 0x0d

/** Some bytes, at most `size`; none at the end of the stream. */
export function readSome(size: number): TcpRead<Buffer> {
  return {
    attempted: 'read',
    wantedBytes: 1,
    take: (buffer, ended) =>
      buffer.length > 0 || ended ? { value: buffer.take(size) } : undefined,
  }
}

/** Exactly `length` bytes. */
export function readWhole(length: number): TcpRead<Buffer> {
  return {
    attempted: `read ${length} bytes`,
    wantedBytes: length,
    expectedBytes: length,
    take: (buffer) => (buffer.length >= length ? { value: buffer.take(length) } : undefined),
  }
}

/**
 * Everything up to the delimiter, and with it; undefined at the end of the stream, if it comes before
 * another byte.
 */
export function readThrough(
  delimiter: Uint8Array,
  { limit, what }: { readonly limit: number; readonly what: string },
): TcpRead<Buffer | undefined> {
  /** Before it the delimiter does not begin. */
  let searched = 0
  return {
    attempted: `read ${what}`,
    wantedBytes: limit,
    take(buffer, ended) {
      const at = buffer.indexOf(delimiter, searched)
      const end = at + delimiter.length
      if (at !== -1 && end <= limit) return { value: buffer.take(end) }
      if (at !== -1 || buffer.length >= limit) {
        throw new RemoteProtocolError(`Cannot read ${what}: it is longer than ${limit} bytes`)
      }
      searched = Math.max(0, buffer.length - delimiter.length + 1)
      return ended && buffer.length === 0 ? { value: undefined } : undefined
    },
  }
}

/** A line without its ending, LF or CRLF. */
export function withoutLineEnding(line: Buffer): Buffer {
  const end = line.at(-1) === LF ? line.length - 1 : line.length
  return line.subarray(0, line[end - 1] === CR ? end - 1 : end)
}
