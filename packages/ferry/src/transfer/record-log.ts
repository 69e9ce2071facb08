/**
 * The text of a journal: one JSON value a line, each behind its CRC-32, so that a line that was cut
 * or garbled is recognised. Values in, text out; no I/O.
 *
 *     1c291ca3 {"type":"spans","spans":[[0,1048576]]}
 */
import { crc32 } from 'node:zlib'

/** One line, newline included. */
export function formatRecord(record: object): string {
  const json = JSON.stringify(record)
  return `${checksumOf(json)} ${json}\n`
}

/**
 * The records up to the first line that is not whole and right; what follows is the torn tail of a
 * write that a crash cut short.
 */
export function parseRecords(text: string): unknown[] {
  const records: unknown[] = []
  const lines = text.split('\n')
  // What stands behind the last newline is not a whole line.
  for (const line of lines.slice(0, -1)) {
    const json = line.slice(9)
    // The checksum of no text is 0, so that a line of zeros would be right.
    if (json === '' || line[8] !== ' ' || line.slice(0, 8) !== checksumOf(json)) break
    records.push(JSON.parse(json))
  }
  return records
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
