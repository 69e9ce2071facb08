/** Where the API key of a client comes from: what was set, INDEXCP_API_KEY, or somebody at the terminal. */
import { promptSecret } from './prompt-secret.ts'
import type { CredentialProvider } from './upload-http.ts'

export class ApiKey {
  /** May be set at any time. What was typed is here, too. */
  value: string | undefined
  /** What somebody typed last: may be wrong, and then can be typed again. */
  #typed: string | undefined
  #asking: Promise<string> | undefined
  readonly #ask: () => Promise<string>

  /** @param ask asks somebody */
  constructor(
    value: string | undefined,
    ask: () => Promise<string> = () => promptSecret('API key: ', 'apiKey'),
  ) {
    this.value = value
    this.#ask = ask
  }

  /** Undefined while somebody would have to be asked. */
  get known(): string | undefined {
    const known = this.value ?? process.env['INDEXCP_API_KEY']
    return known === '' ? undefined : known
  }

  /** @throws {ConfigError} apiKey, when nothing is set and there is nobody to ask */
  async get(): Promise<string> {
    const { known } = this
    if (known !== undefined) return known
    // Several uploads may need it at a time.
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    this.#typed = await this.#asking
    this.value = this.#typed
    return this.#typed
  }

  /** What somebody has typed was refused: it has to be typed again. */
  forgetTyped(): void {
    if (this.#typed !== undefined && this.value === this.#typed) this.value = undefined
  }

  /** Credentials of one upload: it knows which key of them was refused. */
  provide(): CredentialProvider {
    let given: string | undefined
    return async ({ refused }) => {
      if (refused && given === this.#typed) this.forgetTyped()
      given = await this.get()
      return { Authorization: `Bearer ${given}` }
    }
  }
}
