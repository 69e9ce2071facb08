/**
 * Names for files whose names come from elsewhere: never able to leave the folder, to hide, or to
 * meet the files that Ferry keeps beside another one. Pure.
 */

const FALLBACK_NAME = 'download'
// 255 bytes is the limit of common file systems; the suffixes of the partial file need room.
const MAX_NAME_BYTES = 200
// Separators and control characters of any system, what Windows refuses, line separators, and marks
// that cannot be seen or reorder the text around them, so that an .exe reads like a .jpg. The joiners
// U+200C and U+200D stay: Persian and emoji need them.
const UNSAFE =
  /[\0-\x1f\x7f-\x9f/\\:*?"<>|\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g
// Names that Windows takes for devices, whatever their extension, also with spaces before it; it
// reads superscript digits as digits.
const RESERVED = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[\d\xb9\xb2\xb3]) *(?:\.|$)/i
// What Ferry keeps beside a target (the partial file, its journal and lock), and the control file of
// aria2, which it imports: as the name of a file, such a name could replace another download's.
const KEPT_BESIDE = /\.(part(?:\.(?:journal|lock)(?:\.new)?)?|aria2)$/i
// One that tells the kind of file; what stands behind the dot of "Mr. Smith" is none.
const EXTENSION = /\.[^\s.]{1,15}$/
const COMPRESSED_EXTENSION = /\.[a-z][a-z0-9]{0,7}\.(?:br|bz2|gz|lz|lz4|lzma|xz|z|zst)$/i

/**
 * Makes any text a name that stays in its folder on every system: one segment of at most 200 bytes
 * in UTF-8, not hidden, reserved by no system, and not the name of another download's partial file.
 * A safe name stays as it is; where nothing is left, it is `download`.
 */
export function safeFileName(text: string): string {
  return findSafeName(text) ?? FALLBACK_NAME
}

/** The same, and undefined where nothing is left. */
export function findSafeName(text: string): string | undefined {
  let name = text.toWellFormed().normalize('NFC').replace(UNSAFE, '_')
  // What one rule changes may bring another into play: a cut name may end in a space.
  let before: string
  do {
    before = name
    name = applyRules(name)
  } while (name !== before)
  return name === '' ? undefined : name
}

/**
 * Puts a number into a name, before its extension, to tell it from others: `name (1).txt`,
 * `name (1).tar.gz`. A long name is cut to 200 bytes; of a safe name, the result is safe.
 */
export function numberedName(name: string, number: number): string {
  const [stem, extension] = splitExtension(name)
  const ending = ` (${number})${extension}`
  return cutToBytes(stem, MAX_NAME_BYTES - Buffer.byteLength(ending)) + ending
}

function applyRules(name: string): string {
  // The look-behind keeps the search linear.
  const trimmed = name.replace(/(?<![\s.])[\s.]+$/, '').replace(/^\s+/, '')
  const visible = trimmed.replace(/^\.[\s.]*/, '_')
  const allowed = RESERVED.test(visible) ? `_${visible}` : visible
  return shorten(allowed).replace(KEPT_BESIDE, '_$1')
}

/** Cuts a name to what file systems take, keeping its extension. */
function shorten(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name
  const [stem, extension] = splitExtension(name)
  return cutToBytes(stem, MAX_NAME_BYTES - Buffer.byteLength(extension)) + extension
}

/** Splits a name before its extension, a double one like `.tar.gz` too; a leading dot begins none. */
function splitExtension(name: string): readonly [stem: string, extension: string] {
  const double = name.search(COMPRESSED_EXTENSION)
  const at = double > 0 ? double : name.search(EXTENSION)
  return at > 0 ? [name.slice(0, at), name.slice(at)] : [name, '']
}

/** The beginning of a text, whole characters only, that fits in so many bytes of UTF-8. */
function cutToBytes(text: string, maxBytes: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(maxBytes)).read)
}
