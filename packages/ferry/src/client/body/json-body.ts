/** The content of a response as JSON (RFC 8259), with errors that say where it is none. */
import { RemoteProtocolError } from '../../errors.ts'
import { decodeText } from './decode-text.ts'
import { findJsonError } from './json-error.ts'

/** Settings of reading JSON. */
export interface ParseJsonOptions {
  /** As `JSON.parse()` takes it; what it throws comes as it is. */
  readonly reviver?: ((this: unknown, key: string, value: unknown) => unknown) | undefined
  /** The Content-Type of the response: its charset is followed, and messages name it. */
  readonly contentType?: string | undefined
}

// Enough to recognise what came instead: a page of a proxy, say.
const EXCERPT_LENGTH = 80
const EXCERPT_BEFORE = 40
const CONTROLS = /[\s\u0000-\u001F\u007F-\u009F]+/g

/**
 * Reads JSON. What Content-Type says is not held against it, since many servers say something else;
 * a byte order mark is dropped (RFC 8259 §8.1).
 * @param what whose content it is, for messages: `GET http://h/x`; asked only for one
 * @throws {RemoteProtocolError} when it is no JSON: with line, column, an excerpt of at most 80
 * characters, and in `detail` `offset`, `line`, `column` in characters and `contentType`
 */
export function parseJsonBody(
  content: Uint8Array | string,
  what: () => string,
  { reviver, contentType }: ParseJsonOptions = {},
): unknown {
  const text = typeof content === 'string' ? withoutMark(content) : decodeText(content, contentType)
  try {
    return JSON.parse(text, reviver) as unknown
  } catch (cause) {
    const offset = cause instanceof SyntaxError ? findJsonError(text) : undefined
    // JSON after all, so it came from the reviver.
    if (offset === undefined) throw cause
    throw jsonError({ text, offset, what: what(), contentType, cause })
  }
}

function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

interface JsonFailure {
  readonly text: string
  readonly offset: number
  readonly what: string
  readonly contentType: string | undefined
  readonly cause: unknown
}

function jsonError({ text, offset, what, contentType, cause }: JsonFailure): RemoteProtocolError {
  const { line, column } = placeOf(text, offset)
  const type = contentType === undefined ? 'without Content-Type' : contentType
  const reason = describe(text, offset, `line ${line}, column ${column}`)
  return new RemoteProtocolError(`Cannot read the JSON of ${what} (${type}): ${reason}`, {
    cause,
    detail: { offset, line, column, contentType },
  })
}

function describe(text: string, offset: number, place: string): string {
  if (text.length === 0) return 'it is empty'
  if (offset < text.length) {
    const character = String.fromCodePoint(text.codePointAt(offset) as number)
    return `unexpected ${JSON.stringify(character)} at ${place} of ${excerptOf(text, offset)}`
  }
  if (text.trim() === '') return 'it is nothing but white space'
  return `it ends too early, at ${place} of ${excerptOf(text, offset)}`
}

/** Both count from 1, columns in UTF-16 units as editors do. */
function placeOf(text: string, offset: number): { line: number; column: number } {
  let line = 1
  let lineStart = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++
    lineStart = at + 1
  }
  return { line, column: offset - lineStart + 1 }
}

function excerptOf(text: string, offset: number): string {
  const latestStart = Math.max(0, text.length - EXCERPT_LENGTH)
  const start = Math.min(Math.max(0, offset - EXCERPT_BEFORE), latestStart)
  const end = Math.min(text.length, start + EXCERPT_LENGTH)
  // Half of a character at either end would be none, and the excerpt goes into logs.
  const excerpt = text.slice(start, end).toWellFormed().replaceAll(CONTROLS, ' ')
  return `${start > 0 ? '…' : ''}${excerpt}${end < text.length ? '…' : ''}`
}
