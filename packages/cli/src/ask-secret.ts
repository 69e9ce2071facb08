/** Asks a person at the terminal for a secret, which is not shown. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { ReadStream } from 'node:tty'

/** How it is asked for. */
export interface AskSecretOptions {
  readonly question: string
  readonly signal: AbortSignal
  /** Called when Ctrl-C is pressed, which comes as a character meanwhile. */
  readonly interrupt: () => void
  /** What is thrown when the terminal ends before there is an answer. */
  readonly noAnswer: () => Error
}

/** Whether there is somebody to ask. */
export function hasTerminal(): boolean {
  const terminal = openTerminal()
  if (terminal !== undefined) closeSync(terminal)
  return terminal !== undefined
}

/** Opens the terminal itself: standard input and output may be something else. Undefined without one. */
export function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', 'r+')
  } catch {
    return undefined
  }
}

/**
 * Asks on a terminal that was opened, and closes it.
 * @throws `signal.reason`, and what `noAnswer` makes
 */
export async function askSecret(
  terminal: number,
  { question, signal, interrupt, noAnswer }: AskSecretOptions,
): Promise<string> {
  const input = new ReadStream(terminal)
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: silence, terminal: true })
  lines.on('SIGINT', interrupt)
  try {
    writeSync(terminal, question)
    const ended = new Promise<never>((_, reject) => lines.once('close', () => reject(noAnswer())))
    return await Promise.race([lines.question('', { signal }), ended])
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    lines.close()
    writeSync(terminal, '\n')
    input.destroy()
  }
}
