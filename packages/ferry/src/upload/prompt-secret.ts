/** Asks a person at the terminal for a secret, which is not shown. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { ConfigError } from '../errors.ts'

/**
 * @param option what the secret is for, in the error
 * @throws {ConfigError} when nobody sits at a terminal
 */
export async function promptSecret(question: string, option: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new ConfigError(option, `Cannot ask for ${option}: there is no terminal`)
  }
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: hidden, terminal: true })
  process.stderr.write(question)
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
