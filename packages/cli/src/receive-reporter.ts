/** Tells the user what is received: on a terminal, by plain lines, by JSON lines, or not at all. */
import type { UploadEvent, UploadStatus } from 'ferry/receive'
import type { ReceiveFailure } from './receive-failure.ts'
import { JsonReceiveReporter } from './receive-reporter-json.ts'
import { TextReceiveReporter } from './receive-reporter-text.ts'
import type { ReceiveSite } from './receive-words.ts'
import type { Output } from './reporter.ts'
import { printable } from './terminal-text.ts'

/** Takes what happens to a server. */
export interface ReceiveReporter {
  /** It listens. */
  begin(site: ReceiveSite): void
  event(event: UploadEvent): void
  /** It could not do something that was its own business, or has no exit code: it goes on. */
  failed(failure: Omit<ReceiveFailure, 'exitCode'> & { readonly exitCode?: number }): void
  /** What is good to know. */
  note(sentence: string): void
  /** It takes nothing more, and keeps what is on its way. */
  stop(): void
  /** It has ended, as it was asked to. */
  end(unfinished: readonly UploadStatus[]): void
  /** Nothing more is told. */
  close(): void
}

/** Chooses the way of telling of what is received into a folder. */
export function createReceiveReporter(
  options: { readonly json: boolean; readonly quiet: boolean },
  outputs: { readonly stdout: Output; readonly stderr: Output },
  folder: string,
): ReceiveReporter {
  const { stdout, stderr } = outputs
  if (options.json) return new JsonReceiveReporter(stdout, folder)
  if (options.quiet) return new QuietReceiveReporter(stderr)
  return new TextReceiveReporter(stdout, stderr, folder)
}

class QuietReceiveReporter implements ReceiveReporter {
  readonly #stderr: Output

  constructor(stderr: Output) {
    this.#stderr = stderr
  }

  begin(): void {}

  event(): void {}

  failed({ message }: { readonly message: string }): void {
    this.#stderr.write(`ferry: ${printable(message)}\n`)
  }

  note(): void {}

  stop(): void {}

  end(): void {}

  close(): void {}
}
