/**
 * What becomes of a response: chooses where its content goes and in what form, prints its head when
 * that was asked for, and counts. Only the content of a success (2xx) goes to the file of `--output`:
 * not that of a refusal, of a redirection, nor the nothing that 304 brings.
 */
import type { ClientResponse } from 'ferry/client'
import { styleText } from 'node:util'
import type { FetchProgress } from './fetch-console.ts'
import { FileSink } from './fetch-file.ts'
import { formatResponseHead } from './fetch-heads.ts'
import type { FetchOptions } from './fetch-options.ts'
import { type ContentSink, JsonSink, StdoutSink, TextSink } from './fetch-sinks.ts'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import { printableHead } from './terminal-text.ts'

// application/json, application/problem+json, application/x-ndjson, application/jsonl …
const JSON_TYPE = /^(?:application|text)\/(?:[\w.-]+\+)?(?:json|x-ndjson|ndjson|jsonl|jsonlines)\b/i

/** The output of one fetch. Whoever has begun it finishes or abandons it. */
export class FetchOutput {
  readonly #options: FetchOptions
  readonly #stdout: StdoutSink
  #file: FileSink | undefined
  /** Whether content goes to the file. */
  #isFile = false
  #sink: ContentSink | undefined
  #bytes = 0
  #size: number | undefined
  #contentAt: number | undefined
  #endedAt: number | undefined

  constructor(options: FetchOptions, signal: AbortSignal) {
    this.#options = options
    this.#stdout = new StdoutSink(process.stdout, signal)
  }

  /** Of content, decoded, that came so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether content is shown on a terminal. */
  get isOnTerminal(): boolean {
    return process.stdout.isTTY && !this.#isFile
  }

  /** Whether what goes to a terminal has colours. */
  get wantsColor(): boolean {
    const { color } = this.#options
    if (color !== 'auto') return color === 'always'
    // https://no-color.org
    return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
  }

  /** Opens the file, before anything is asked of a server. @throws {TransferError} */
  async prepare(): Promise<void> {
    const { output } = this.#options
    if (output !== undefined) this.#file = await FileSink.open(output)
  }

  /** Takes the head, and prints it when that was asked for. */
  async begin(response: ClientResponse): Promise<void> {
    const { include, head } = this.#options
    if (include === true || head === true) await this.#printHead(response)
    if (response.status < 200 || response.status > 299) {
      await this.#file?.abandon()
      this.#file = undefined
    }
    const contentType = response.headers.get('content-type')
    this.#isFile = this.#file !== undefined
    this.#sink = this.#file ?? this.#chooseSink(contentType)
    this.#size = response.body.length
    this.#contentAt = performance.now()
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length
    await this.#sink?.write(bytes)
  }

  async finish(): Promise<void> {
    await this.#sink?.finish()
    this.#file = undefined
    this.#endedAt = performance.now()
  }

  /** Leaves nothing half done. Never fails. */
  async abandon(): Promise<void> {
    const isOpen = this.#endedAt === undefined
    if (isOpen && !this.#isFile) await this.#sink?.abandon()
    await this.#file?.abandon()
  }

  /** How far it is; `name` stands before it. */
  progress(name: string): FetchProgress {
    return { name, bytes: this.#bytes, size: this.#size, contentAt: this.#contentAt }
  }

  /** `out.bin: 4 MiB in 2.1 s (1.9 MiB/s)`; undefined without a file, or when its reader has gone. */
  summary(): string | undefined {
    const { output } = this.#options
    if (output === undefined) return undefined
    if (!this.#isFile) return `${output}: not written, since the answer is no success`
    if (this.#endedAt === undefined) return undefined
    const elapsedMs = this.#endedAt - (this.#contentAt ?? 0)
    const speed = elapsedMs > 0 ? ` (${formatSpeed((this.#bytes * 1000) / elapsedMs)})` : ''
    return `${output}: ${formatBytes(this.#bytes)} in ${formatDuration(elapsedMs)}${speed}`
  }

  #chooseSink(contentType: string | undefined): ContentSink {
    const { color, raw } = this.#options
    const isShown = process.stdout.isTTY || color === 'always'
    if (isShown && raw !== true && JSON_TYPE.test(contentType ?? '')) {
      return new JsonSink(this.#stdout, { color: this.wantsColor, contentType })
    }
    return process.stdout.isTTY ? new TextSink(this.#stdout, contentType) : this.#stdout
  }

  /** On a terminal nothing in it can command the terminal; elsewhere its bytes are as they came. */
  async #printHead(response: ClientResponse): Promise<void> {
    const [line = '', ...fields] = formatResponseHead(response)
    if (!process.stdout.isTTY) {
      const text = [line, ...fields, '', ''].join('\n')
      await this.#stdout.write(Buffer.from(text, 'latin1'))
      return
    }
    const paint = (style: 'bold' | 'cyan', text: string): string =>
      this.wantsColor ? styleText(style, text, { validateStream: false }) : text
    const shown = fields.map(printableHead).map((field) => {
      const colon = field.indexOf(':')
      return paint('cyan', field.slice(0, colon)) + field.slice(colon)
    })
    await this.#stdout.write(`${[paint('bold', printableHead(line)), ...shown].join('\n')}\n\n`)
  }
}
