/** The content of a response line by line: logs, JSON Lines. */
import { RemoteProtocolError } from '../../errors.ts'
import { createTextDecoder, parseCharset } from './decode-text.ts'

/** Settings of reading lines. */
export interface ReadLinesOptions {
  /** The Content-Type of the response, for its charset. @defaultValue UTF-8 */
  readonly contentType?: string | undefined
  /** How long a line may be, in characters. @defaultValue 16 MiB */
  readonly maxLineLength?: number | undefined
  /** Whose content it is, for messages. @defaultValue `the response` */
  readonly what?: string | undefined
}

// As an event of a server: beyond it, a line is a mistake or an attack.
const DEFAULT_MAX_LINE_LENGTH = 16_777_216

/**
 * Gives the lines of a content without their ends, LF or CRLF; a lone CR is part of its line, as in
 * most tools. What comes after the last end is a line too, unless it is empty. Bytes that are no text
 * become U+FFFD, a byte order mark is dropped.
 *
 * Leaving the iteration gives up the rest of the body.
 * @throws {RemoteProtocolError} when a line is too long; else what reading the body throws
 * @example
 * for await (const line of readLines(response.body)) console.log(JSON.parse(line))
 */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  { contentType, maxLineLength = DEFAULT_MAX_LINE_LENGTH, what }: ReadLinesOptions = {},
): AsyncGenerator<string, void> {
  const decoder = createTextDecoder(parseCharset(contentType), false)
  const splitter = new LineSplitter(maxLineLength, what ?? 'the response')
  for await (const bytes of body) {
    yield* splitter.push(decoder.decode(bytes, { stream: true }))
  }
  yield* splitter.push(decoder.decode())
  const last = splitter.end()
  if (last !== '') yield last
}

/** Holds the line that has begun. */
class LineSplitter {
  readonly #maxLength: number
  readonly #what: string
  #held = ''

  constructor(maxLength: number, what: string) {
    this.#maxLength = maxLength
    this.#what = what
  }

  /** Gives the lines that text completes. */
  *push(text: string): Generator<string, void> {
    let start = 0
    // What is held has no LF, so it is not searched again.
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      const line = this.#held + text.slice(start, end)
      this.#held = ''
      start = end + 1
      const length = line.endsWith('\r') ? line.length - 1 : line.length
      this.#check(length)
      yield length === line.length ? line : line.slice(0, length)
    }
    this.#held += text.slice(start)
    // One more may be the CR of its end.
    this.#check(this.#held.length - 1)
  }

  /** What has no end. */
  end(): string {
    this.#check(this.#held.length)
    return this.#held
  }

  #check(length: number): void {
    if (length <= this.#maxLength) return
    throw new RemoteProtocolError(
      `Cannot read the lines of ${this.#what}: one is longer than ${this.#maxLength} characters`,
    )
  }
}
