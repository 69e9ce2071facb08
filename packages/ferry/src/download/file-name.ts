/** Names for downloaded files: from Content-Disposition or the URL, never able to leave the folder. */
import type { HttpUrl } from '../transport/http-url.ts'

const FALLBACK_NAME = 'download'
// 255 bytes is the limit of common file systems; the suffixes of the partial file need room.
const MAX_NAME_BYTES = 200
// Separators and control characters of any system, what Windows refuses, and marks that reorder the
// text around them, so that an .exe reads like a .jpg.
const UNSAFE = /[\0-\x1f\x7f-\x9f/\\:*?"<>|\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
// Names that Windows takes for devices, whatever their extension.
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** A safe name for the file at a URL: the last part of its path, decoded; never its query. */
export function fileNameOf(url: HttpUrl): string {
  const path = url.target.split('?')[0] ?? ''
  return safeFileName(decodePercent(path.slice(path.lastIndexOf('/') + 1)))
}

/** Makes any text a name that stays in its folder on every system. */
export function safeFileName(text: string): string {
  const name = text
    .normalize('NFC')
    .replace(UNSAFE, '_')
    .replace(/[. ]+$/, '')
    .replace(/^ +/, '')
  if (name === '' || /^\.*$/.test(name)) return FALLBACK_NAME
  return shorten(RESERVED.test(name) ? `_${name}` : name)
}

/** Cuts a name to what file systems take, keeping its extension. */
function shorten(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 && name.length - dot <= 16 ? name.slice(dot) : ''
  let stem = name.slice(0, name.length - extension.length)
  while (Buffer.byteLength(stem + extension) > MAX_NAME_BYTES)
    stem = [...stem].slice(0, -1).join('')
  return stem + extension
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
