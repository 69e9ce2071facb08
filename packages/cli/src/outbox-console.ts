/** Where commands on an outbox write: what was asked for on standard output, all else beside it. */
import { writeError } from './fetch-system-errors.ts'
import { jsonLine, printable } from './terminal-text.ts'

/** The two outputs of one command. */
export class OutboxConsole {
  readonly #program: string
  /** Values instead of sentences. */
  readonly isJson: boolean
  readonly #isQuiet: boolean

  constructor(
    program: string,
    { json = false, quiet = false }: { readonly json?: boolean; readonly quiet?: boolean },
  ) {
    this.#program = program
    this.isJson = json
    this.#isQuiet = quiet
  }

  /** A line for people; nothing with `--json`. */
  say(line: string): void {
    if (!this.isJson && !this.#isQuiet) process.stdout.write(`${printable(line)}\n`)
  }

  /** A value for programs; nothing without `--json`. */
  value(value: { readonly event: string; readonly [field: string]: unknown }): void {
    if (this.isJson) process.stdout.write(jsonLine(value))
  }

  /**
   * Resolves when what was said is written, for commands that do nothing else.
   * @throws {TransferError} when it cannot be; not when nobody wants to read it any more
   */
  async written(): Promise<void> {
    const { stdout } = process
    const failed = stdout.errored as NodeJS.ErrnoException | null
    const cause =
      failed ??
      (await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
        stdout.write('', resolve)
      }))
    if (cause && cause.code !== 'EPIPE') throw writeError('standard output', cause)
  }

  /** What is good to know, whatever the output is. */
  note(sentence: string): void {
    if (this.isJson) this.value({ event: 'note', message: sentence })
    else if (!this.#isQuiet) process.stderr.write(`${this.#program}: ${printable(sentence)}\n`)
  }

  failed(failure: {
    readonly code: string
    readonly exitCode?: number
    readonly message: string
    readonly name?: string | undefined
  }): void {
    if (this.isJson) this.value({ event: 'failed', ...failure })
    else process.stderr.write(`${this.#program}: ${printable(failure.message)}\n`)
  }
}
