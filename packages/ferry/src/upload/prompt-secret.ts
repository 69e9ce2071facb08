/** Asks a person at the terminal for a secret, which is not shown. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { ConfigError } from '../errors.ts'

/**
 * Ctrl-C is passed on to the process as the signal that it is elsewhere.
 * @param option what the secret is for, in the error
 * @throws {ConfigError} when nobody sits at a terminal, or nothing was typed
 */
export async function promptSecret(question: string, option: string): Promise<string> {
  if (!process.stdin.isTTY) throw promptError(option, 'there is no terminal')
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: hidden, terminal: true })
  const ended = new Promise<never>((_, reject) => {
    lines.once('close', () => reject(promptError(option, 'nothing was typed')))
    lines.once('SIGINT', () => {
      reject(promptError(option, 'it was interrupted'))
      // Before the signal: it may end the process, which must not leave the terminal silent.
      lines.close()
      process.kill(process.pid, 'SIGINT')
    })
  })
  process.stderr.write(question)
  try {
    const typed = await Promise.race([lines.question(''), ended])
    if (typed === '') throw promptError(option, 'nothing was typed')
    return typed
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

function promptError(option: string, reason: string): ConfigError {
  return new ConfigError(option, `Cannot ask for ${option}: ${reason}`)
}
