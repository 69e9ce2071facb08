/** Names for downloaded files: from Content-Disposition or the URL, always safe. */
import { fileNameFromDisposition } from '../../protocol/semantics/content-disposition.ts'
import { decodePercent } from '../../protocol/semantics/percent-encoding.ts'
import { findSafeName, safeFileName } from '../../transfer/naming/safe-file-name.ts'
import type { HttpUrl } from '../../transport/http-url.ts'

/**
 * Gives the name to save a response under: what Content-Disposition says, without its folders, else
 * the last part of the URL's path. Always safe, as `safeFileName` makes it.
 */
export function suggestFileName(response: {
  /** The field Content-Disposition as it came, one character a byte. */
  readonly disposition: string | undefined
  readonly url: HttpUrl
}): string {
  const { disposition, url } = response
  const given = disposition === undefined ? undefined : fileNameFromDisposition(disposition)
  // RFC 6266 §4.3: of a path, only the last segment may be used.
  const segment = given?.split(/[/\\]/).findLast((one) => one.trim() !== '')
  return (segment === undefined ? undefined : findSafeName(segment)) ?? fileNameOf(url)
}

/** A safe name for the file at a URL: the last part of its path, decoded; never its query. */
export function fileNameOf(url: HttpUrl): string {
  const path = url.target.split('?')[0] ?? ''
  return safeFileName(decodePercent(path.slice(path.lastIndexOf('/') + 1)))
}
