/** Asks a person at the terminal whether something is really meant. */
import { createInterface } from 'node:readline/promises'

/** Whether there is a terminal to ask at. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Who is asked may also stop the command. */
export interface Confirming {
  readonly signal: AbortSignal
  /** Called when Ctrl-C is pressed, which comes as a character meanwhile. */
  readonly interrupt: () => void
}

/**
 * Only a yes is one; the end of the input is none.
 * @throws `signal.reason`
 */
export async function confirm(
  question: string,
  { signal, interrupt }: Confirming,
): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  lines.on('SIGINT', interrupt)
  try {
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), ended])
    return /^y(es)?$/i.test(answer.trim())
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    lines.close()
  }
}
