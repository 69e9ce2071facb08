/** Standard input as what is sent. */
import { createReadStream, fstatSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { ConfigError } from 'ferry/errors'

const DESCRIPTOR = 0

/**
 * Gives what comes on standard input, whatever that is. Of disks and folders `process.stdin` makes an
 * input without a byte.
 * @throws {ConfigError} when nothing can be read from it
 */
export function openStandardInput(): Readable {
  const stats = fstatSync(DESCRIPTOR)
  if (stats.isBlockDevice()) return createReadStream('', { fd: DESCRIPTOR, autoClose: false })
  const isReadable =
    stats.isFile() || stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice()
  if (isReadable) return process.stdin
  throw new ConfigError('file', 'Cannot send standard input: it is neither a file nor a pipe')
}
