/**
 * A ClientSession with a server played by hand: frames in, and one list of what the session and its
 * handlers were told; what the session writes is read as lines by `FrameReader`.
 */
import { ClientSession } from '../protocol/http2/client-session.ts'
import { ConnectionFault, nameOfErrorCode } from '../protocol/http2/error-code.ts'
import type { Http2Stream, StreamFailure, StreamHandler } from '../protocol/http2/http2-stream.ts'
import type { Http2RequestHead } from '../protocol/http2/request-fields.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import { FrameReader, settings } from './http2-frames.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Writes what one stream is told into a list that it shares with others. */
export class RecordingStreamHandler implements StreamHandler {
  readonly method: string
  id = 0
  /** Is called with each line, after it was written down. */
  react: ((line: string) => void) | undefined
  readonly #log: string[]

  constructor(method: string, log: string[]) {
    this.method = method
    this.#log = log
  }

  onInformation({ status }: ResponseHead): void {
    this.#note(`information ${status}`)
  }

  onHead({ status }: ResponseHead, length: number | undefined): void {
    this.#note(`head ${status} ${length ?? 'unknown'}`)
  }

  onContent(bytes: Buffer, start: number, end: number): void {
    this.#note(`content ${end - start > 40 ? end - start : bytes.toString('latin1', start, end)}`)
  }

  onEnd(trailers: HeaderFields): void {
    this.#note(['end', ...[...trailers].map(([name, value]) => `${name}=${value}`)].join(' '))
  }

  onFailure(failure: StreamFailure): void {
    const { type } = failure
    const code = type === 'fault' ? failure.fault.code : nameOfErrorCode(failure.code)
    this.#note(`${type} ${code}`)
  }

  onSendingRefused(): void {
    this.#note('sending refused')
  }

  #note(event: string): void {
    const line = `${this.id} ${event}`
    this.#log.push(line)
    this.react?.(line)
  }
}

interface OpenOptions extends Partial<Http2RequestHead> {
  /** True unless told: most requests are a head alone. */
  readonly endStream?: boolean
}

/** A stream and what is told of it. */
export interface OpenedStream {
  readonly stream: Http2Stream
  readonly handler: RecordingStreamHandler
}

/** One session. */
export class SessionFixture {
  /** `settings`, `refused`, `goaway CODE`, `over ID`, and the lines of the handlers. */
  readonly log: string[] = []
  readonly reader: FrameReader = new FrameReader()
  readonly session: ClientSession
  /** Is called with each event of the session, after it was written down. */
  react: ((line: string) => void) | undefined
  now = 0
  #prefaceTaken = false

  constructor(options: { readonly firstStreamId?: number } = {}) {
    this.session = new ClientSession(
      {
        onSettings: () => this.#note('settings'),
        onRefused: () => this.#note('refused'),
        onGoAway: (code) => this.#note(`goaway ${nameOfErrorCode(code)}`),
        onStreamOver: ({ id }) => this.#note(`over ${id}`),
      },
      options,
    )
  }

  /** A session past the exchange of settings, with nothing written down. */
  static settled(...values: (readonly [id: number, value: number])[]): SessionFixture {
    const fixture = new SessionFixture()
    fixture.receive(settings(...values))
    fixture.written()
    fixture.log.length = 0
    return fixture
  }

  /** Each of them by itself. */
  receive(...frames: readonly Buffer[]): void {
    for (const bytes of frames) this.session.push(bytes, this.now)
  }

  open(options: OpenOptions = {}): OpenedStream {
    const { endStream = true, ...head } = options
    const handler = new RecordingStreamHandler(options.method ?? 'GET', this.log)
    const stream = this.session.open({ ...HEAD, ...head }, handler, endStream)
    handler.id = stream.id
    return { stream, handler }
  }

  /** What was written down since it was asked for last. */
  told(): string[] {
    return this.log.splice(0)
  }

  /** The frames written since, without more content than was framed already. */
  written(): string[] {
    return this.reader.read(this.bytes())
  }

  /** All frames that can be written, content as well. */
  flush(maxBytes: number = Number.POSITIVE_INFINITY): string[] {
    const lines: string[] = []
    let left = maxBytes
    while (true) {
      this.session.fill(left)
      const bytes = this.bytes()
      if (bytes.length === 0) return lines
      left -= bytes.length
      lines.push(...this.reader.read(bytes))
    }
  }

  /** What is to be written, but for the preface. */
  bytes(): Buffer {
    const pieces: Buffer[] = []
    for (let output = this.session.take(); output !== undefined; output = this.session.take()) {
      pieces.push(Buffer.from(output.bytes))
      if (output.retired !== undefined) this.session.recycle(output.retired)
    }
    const all = Buffer.concat(pieces)
    if (this.#prefaceTaken || all.length === 0) return all
    this.#prefaceTaken = true
    return all.subarray(PREFACE.length)
  }

  #note(line: string): void {
    this.log.push(line)
    this.react?.(line)
  }
}

/** The code of the ConnectionFault that a call throws; undefined when it throws nothing. */
export function faultOf(call: () => void): string | undefined {
  try {
    call()
  } catch (error) {
    if (error instanceof ConnectionFault) return error.code
    throw error
  }
  return undefined
}

const HEAD: Http2RequestHead = {
  method: 'GET',
  scheme: 'https',
  authority: 'example.com',
  path: '/',
  protocol: undefined,
  headers: HeaderFields.empty,
  contentLength: undefined,
}
