/**
 * Who is sending: the API key from an option, a file, the environment or the terminal, or user and
 * password. A key is asked for only when the server wants one and somebody sits at a terminal.
 */
import { ConfigError, HttpStatusError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import type { CredentialProvider } from 'ferry/upload'
import { askSecret, hasTerminal, openTerminal } from './ask-secret.ts'
import { readOptionFile } from './option-files.ts'
import type { SendOptions } from './send-options.ts'

/** Where the key is looked for when no option names it. */
const KEY_VARIABLE = 'INDEXCP_API_KEY'
const UNAUTHORIZED = 401

/** How somebody is asked. */
export interface Asking {
  readonly signal: AbortSignal
  /** Called when Ctrl-C is pressed meanwhile. */
  readonly interrupt: () => void
  /** Has nothing else drawn on the terminal until what it returns is called. */
  readonly hold: () => () => void
}

/**
 * The key that was given; undefined when none was.
 * @throws {ConfigError} when it cannot be read, or is none
 */
export async function readKey({ key, keyFile }: SendOptions): Promise<string | undefined> {
  if (key !== undefined) return checkKey('key', key, '--key')
  if (keyFile !== undefined) {
    const [line = ''] = (await readOptionFile('key-file', keyFile)).split(/\r?\n/)
    return checkKey('key-file', line.trim(), `${keyFile} for --key-file`)
  }
  const variable = process.env[KEY_VARIABLE]
  return variable === undefined || variable === ''
    ? undefined
    : checkKey(KEY_VARIABLE, variable, KEY_VARIABLE)
}

/** The keys of one run, which all its uploads share: each is asked for once. */
export class SendKeys {
  readonly #asking: Asking
  readonly #given: string | undefined
  readonly #hasTerminal = hasTerminal()
  /** By origin: what somebody has typed, or is typing. */
  readonly #typed = new Map<string, { readonly number: number; readonly key: Promise<string> }>()
  /** Settles when nobody is being asked. */
  #answered: Promise<unknown> = Promise.resolve()

  /** @param given the key for every server; undefined when there is none */
  constructor(given: string | undefined, asking: Asking) {
    this.#given = given
    this.#asking = asking
  }

  /** Whether there is one for every server, rather than one to be asked for. */
  get isGiven(): boolean {
    return this.#given !== undefined
  }

  /**
   * Gives one upload its key.
   * @param refusal why the last one was refused
   */
  providerFor(url: HttpUrl, refusal: () => Error | undefined): CredentialProvider {
    // Of the key that this upload had last: another upload may have asked for a better one since.
    let number = 0
    return async ({ refused }) => {
      if (refused) {
        const error = refusal()
        if (!this.#hasTerminal || !isKeyMissing(error)) throw error ?? noKey()
        if (this.#numberFor(url) <= number) this.#ask(url)
      }
      const typed = this.#typed.get(url.origin.key)
      number = typed?.number ?? 0
      const key = typed === undefined ? this.#given : await typed.key
      return key === undefined ? {} : { Authorization: `Bearer ${key}` }
    }
  }

  #numberFor({ origin }: HttpUrl): number {
    return this.#typed.get(origin.key)?.number ?? 0
  }

  #ask(url: HttpUrl): void {
    const question = `API key for ${url.origin.key}: `
    const key = this.#answered.then(() => this.#askOnTerminal(question))
    // Whoever waits for it is told.
    this.#answered = key.catch(() => {})
    this.#typed.set(url.origin.key, { number: this.#numberFor(url) + 1, key })
  }

  async #askOnTerminal(question: string): Promise<string> {
    const { signal, interrupt, hold } = this.#asking
    signal.throwIfAborted()
    const terminal = openTerminal()
    if (terminal === undefined) throw noKey()
    const release = hold()
    try {
      const key = await askSecret(terminal, { question, signal, interrupt, noAnswer: noKey })
      return checkKey('key', key.trim(), 'what was typed')
    } finally {
      release()
    }
  }
}

function isKeyMissing(error: Error | undefined): boolean {
  return error instanceof HttpStatusError && error.status === UNAUTHORIZED
}

/** Keys go as they are into a field, and never into a message. */
function checkKey(option: string, key: string, place: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key
  const reason = key === '' ? 'it is empty' : 'expected nothing but the key, without spaces'
  throw new ConfigError(option, `Cannot use the key of ${place}: ${reason}`)
}

function noKey(): ConfigError {
  return new ConfigError('key', 'Cannot go on: no key was given')
}
