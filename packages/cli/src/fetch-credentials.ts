/**
 * Who is asking: user and password for Basic authentication (RFC 7617), from a file, the
 * environment or the terminal, so that the password need not stand in a command line.
 */
import { ConfigError } from 'ferry/errors'
import { askSecret, openTerminal } from './ask-secret.ts'
import { readOptionFile } from './option-files.ts'

/** Where the password is looked for when --user has none. */
const PASSWORD_VARIABLE = 'FERRY_PASSWORD'

/**
 * Gives the value of Authorization for what --user says.
 * @throws {ConfigError} when there is no password, or it cannot be sent
 * @throws `signal.reason`, also when Ctrl-C is pressed while it asks
 */
export async function readCredentials(
  user: string,
  { signal, interrupt }: { readonly signal: AbortSignal; readonly interrupt: () => void },
): Promise<string> {
  const text = user.startsWith('@') ? await readUserFile(user.slice(1)) : user
  const credentials = text.includes(':') ? text : `${text}:${await findPassword(signal, interrupt)}`
  // RFC 7617 §2
  if (/[\x00-\x1f\x7f]/.test(credentials)) {
    throw new ConfigError('user', 'Cannot use the credentials: they hold a control character')
  }
  return `Basic ${Buffer.from(credentials).toString('base64')}`
}

async function readUserFile(path: string): Promise<string> {
  const [line = ''] = (await readOptionFile('user', path)).split(/\r?\n/)
  if (line.includes(':')) return line
  throw new ConfigError('user', `Cannot use ${path} for --user: expected a line NAME:PASSWORD`)
}

async function findPassword(signal: AbortSignal, interrupt: () => void): Promise<string> {
  const password = process.env[PASSWORD_VARIABLE]
  return password ?? (await askPassword(signal, interrupt))
}

/** @throws {ConfigError} when there is no terminal */
async function askPassword(signal: AbortSignal, interrupt: () => void): Promise<string> {
  const terminal = openTerminal()
  if (terminal === undefined) {
    throw new ConfigError(
      'user',
      'Cannot ask for the password of --user: there is no terminal; ' +
        `set ${PASSWORD_VARIABLE}, or put NAME:PASSWORD into a file and use -u @FILE`,
    )
  }
  return await askSecret(terminal, {
    question: 'Password: ',
    signal,
    interrupt,
    noAnswer: noPassword,
  })
}

function noPassword(): ConfigError {
  return new ConfigError('user', 'Cannot go on: no password was given')
}
