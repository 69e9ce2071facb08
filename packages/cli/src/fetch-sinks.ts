/** Where content goes, piece by piece: standard output as it is, or in a form for people. */
import { ConfigError } from 'ferry/errors'
import { JsonPrinter } from './fetch-json-printer.ts'
import { writeError } from './fetch-system-errors.ts'
import { printableLines } from './terminal-text.ts'

// As much as tells text from something else.
const SNIFFED_BYTES = 4096

/** Takes content. After `finish()` or `abandon()` nothing more comes. */
export interface ContentSink {
  /** Resolves when more is welcome; the memory is the sink's. */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves when all of it is where it belongs. */
  finish(): Promise<void>
  /** Not all of it has come. */
  abandon(): Promise<void>
}

/** Whoever read standard output has gone away (`| head`). */
export class ReaderGone extends Error {
  constructor() {
    super('Nobody reads the output any more')
  }
}

/** Standard output, at the pace of its reader. */
export class StdoutSink implements ContentSink {
  readonly #stdout: NodeJS.WritableStream
  readonly #signal: AbortSignal
  #error: NodeJS.ErrnoException | undefined
  #wake = (): void => {}

  constructor(stdout: NodeJS.WritableStream, signal: AbortSignal) {
    this.#stdout = stdout
    this.#signal = signal
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= error
      this.#wake()
    })
    stdout.on('drain', () => this.#wake())
    signal.addEventListener('abort', () => this.#wake())
  }

  /** @throws {ReaderGone} @throws {TransferError} @throws `signal.reason` */
  async write(bytes: Uint8Array | string): Promise<void> {
    this.#check()
    if (this.#stdout.write(bytes)) return
    await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#check()
  }

  async finish(): Promise<void> {
    // Written in order: when this is, everything is.
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#stdout.write('', () => resolve())
    })
    this.#check()
  }

  async abandon(): Promise<void> {}

  #check(): void {
    if (this.#error?.code === 'EPIPE') throw new ReaderGone()
    if (this.#error !== undefined) throw writeError('to standard output', this.#error)
    this.#signal.throwIfAborted()
  }
}

/** JSON for people: indented, perhaps coloured. What only calls itself JSON is shown as text. */
export class JsonSink implements ContentSink {
  readonly #output: StdoutSink
  readonly #printer: JsonPrinter
  readonly #text: TextSink
  // RFC 8259 §8.1: UTF-8; but some say otherwise, and mean it.
  readonly #decoder: TextDecoder
  /** By the first character that is no blank. */
  #form: 'unknown' | 'json' | 'text' = 'unknown'

  constructor(
    output: StdoutSink,
    options: { readonly color: boolean; readonly contentType: string | undefined },
  ) {
    this.#output = output
    this.#printer = new JsonPrinter(options)
    this.#decoder = decoderFor(charsetOf(options.contentType))
    this.#text = new TextSink(output, options.contentType)
  }

  async write(bytes: Uint8Array): Promise<void> {
    const decoded = this.#decoder.decode(bytes, { stream: true })
    if (this.#form === 'unknown' && decoded.trim() !== '') {
      this.#form = /^\s*[[{]/.test(decoded) ? 'json' : 'text'
    }
    if (this.#form === 'text') return this.#text.write(bytes)
    const text = this.#printer.write(decoded)
    if (text !== '') await this.#output.write(text)
  }

  async finish(): Promise<void> {
    if (this.#form === 'text') return this.#text.finish()
    await this.#output.write(this.#printer.write(this.#decoder.decode()) + this.#printer.end())
    await this.#output.finish()
  }

  /** What has come stays on the screen; colours end. */
  async abandon(): Promise<void> {
    if (this.#form === 'text') return this.#text.abandon()
    await this.#output.write(this.#printer.end()).catch(() => {})
  }
}

/**
 * Text on a terminal, decoded, and without what would command the terminal. What is no text is
 * refused, and the prompt begins on a new line.
 */
export class TextSink implements ContentSink {
  readonly #output: StdoutSink
  readonly #contentType: string | undefined
  readonly #decoder: TextDecoder
  #hasBegun = false
  #endsLine = true

  constructor(output: StdoutSink, contentType: string | undefined) {
    this.#output = output
    this.#contentType = contentType
    this.#decoder = decoderFor(charsetOf(contentType))
  }

  /** @throws {ConfigError} `terminal`, when it is binary */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    if (!this.#hasBegun && isBinary(bytes, this.#contentType)) {
      const type = this.#contentType === undefined ? '' : ` of type ${this.#contentType}`
      throw new ConfigError('terminal', `Cannot show content${type} on a terminal: it is no text`)
    }
    this.#hasBegun = true
    await this.#show(this.#decoder.decode(bytes, { stream: true }))
  }

  async finish(): Promise<void> {
    await this.#show(this.#decoder.decode())
    await this.abandon()
    await this.#output.finish()
  }

  async abandon(): Promise<void> {
    if (!this.#endsLine) await this.#output.write('\n').catch(() => {})
  }

  async #show(decoded: string): Promise<void> {
    const text = printableLines(decoded)
    if (text === '') return
    this.#endsLine = text.endsWith('\n')
    await this.#output.write(text)
  }
}

/** By a zero, or by not being UTF-8 where nothing says that it is text. */
function isBinary(bytes: Uint8Array, contentType: string | undefined): boolean {
  const beginning = bytes.subarray(0, SNIFFED_BYTES)
  const charset = charsetOf(contentType)
  // A character may be cut at the end.
  if (decoderFor(charset).decode(beginning, { stream: true }).includes('\0')) return true
  const isCalledText = /^(?:text\/|application\/[\w.+-]*(?:xml|javascript))/i.test(
    contentType ?? '',
  )
  if (isCalledText || charset !== undefined) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(beginning, { stream: true })
    return false
  } catch {
    return true
  }
}

/** The charset that a Content-Type names (RFC 9110 §8.3.2). */
function charsetOf(contentType: string | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1]
}

/** UTF-8 for a charset that nobody knows; what is none of it becomes U+FFFD. */
function decoderFor(charset: string | undefined): TextDecoder {
  try {
    return new TextDecoder(charset)
  } catch {
    return new TextDecoder()
  }
}
