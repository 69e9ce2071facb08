/** Turns the options of commands that send into what uploads are told. Reads the files that they name. */
import { HttpClient, isSecretField } from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import { RateLimit, type UploadEvent, type UploadOptions } from 'ferry/upload'
import { readConnectionOptions } from './fetch-network.ts'
import { parseSize } from './format.ts'
import { addSecrets, basic } from './get-secrets.ts'
import { type OptionFields, readFields } from './option-files.ts'
import { type Asking, readKey, SendKeys } from './send-keys.ts'
import type { SendOptions } from './send-options.ts'
import { version } from './version.ts'

// A server may hold a digest against all that has come before it answers.
const ANSWER_TIMEOUTS = 5

/** What the uploads of one run share, whatever URLs they go to. Closing it closes its client. */
export class SendSettings implements AsyncDisposable {
  readonly #options: SendOptions
  readonly #fields: OptionFields
  /** The value of Authorization from --user. */
  readonly #authorization: string | undefined
  readonly #keys: SendKeys
  readonly #client: HttpClient
  readonly #shared: UploadOptions

  private constructor(
    options: SendOptions,
    who: {
      readonly fields: OptionFields
      readonly authorization: string | undefined
      readonly keys: SendKeys
    },
    how: { readonly client: HttpClient; readonly shared: UploadOptions },
  ) {
    this.#options = options
    this.#fields = who.fields
    this.#authorization = who.authorization
    this.#keys = who.keys
    this.#client = how.client
    this.#shared = how.shared
  }

  /** @throws {ConfigError} when an option, or a file that it names, cannot be used */
  static async open(options: SendOptions, asking: Asking): Promise<SendSettings> {
    const fields = await readFields(options.header ?? [])
    const authorization = await readAuthorization(options, fields, asking)
    const isIdentified = authorization !== undefined || hasAuthorization(fields.fields)
    const keys = new SendKeys(isIdentified ? undefined : await readKey(options), asking)
    const shared = readShared(options)
    const client = await openClient(options, fields)
    return new SendSettings(options, { fields, authorization, keys }, { client, shared })
  }

  /** Files at once. */
  get files(): number {
    return this.#options.files
  }

  /**
   * Looks at where all of them go, before anything is sent.
   * @throws {ConfigError} when several servers would be shown what is secret to one of them
   */
  checkServers(urls: readonly HttpUrl[]): void {
    const { fields, secretNames } = this.#fields
    const isSecret =
      this.#authorization !== undefined ||
      this.#keys.isGiven ||
      fields.some(([name]) => isSecretField(name) || secretNames.includes(name.toLowerCase()))
    const servers = new Set(urls.map(({ origin }) => origin.key))
    if (!isSecret || servers.size <= 1) return
    throw new ConfigError(
      'url',
      `Cannot show one key to ${servers.size} servers, ${[...servers].join(' and ')}: ` +
        'name the URL of one, and run it for each',
    )
  }

  /**
   * What one upload to `url` is told. What is secret goes to the origin of that URL alone.
   * @param onEvent told of what happens to it
   */
  optionsFor(url: HttpUrl, onEvent: (event: UploadEvent) => void): UploadOptions {
    const { fields, secretNames } = this.#fields
    const isSecret = ([name]: readonly [string, string]): boolean =>
      isSecretField(name) || secretNames.includes(name.toLowerCase())
    const secret = fields.filter(isSecret)
    const authorization = this.#authorization ?? authorizationOf(url)
    const isIdentified = authorization !== undefined || hasAuthorization(fields)
    return {
      ...this.#shared,
      ...(isIdentified ? { onEvent } : this.#withKey(url, onEvent)),
      headers: fields.filter((field) => !isSecret(field)),
      client: this.#client.extend({
        interceptors: [addSecrets({ secret, authorization, netrc: [] }, [url])],
      }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }

  #withKey(
    url: HttpUrl,
    onEvent: (event: UploadEvent) => void,
  ): Pick<UploadOptions, 'credentials' | 'onEvent'> {
    let refusal: Error | undefined
    return {
      credentials: this.#keys.providerFor(url, () => refusal),
      onEvent: (event) => {
        if (event.type === 'credentials') refusal = event.error
        onEvent(event)
      },
    }
  }
}

async function openClient(
  options: SendOptions,
  { secretNames }: OptionFields,
): Promise<HttpClient> {
  const { certKey, cert } = options
  if (certKey !== undefined && cert === undefined) {
    throw new ConfigError(
      'cert-key',
      'Cannot use --cert-key alone: --cert names the certificate it is for',
    )
  }
  // Several connections are to carry parts; over HTTP/2 one would carry them all.
  const http1 = options.http2 === true ? {} : { http1: true as const }
  const { key: _, ...rest } = options
  const connections = { ...rest, ...http1, ...(certKey === undefined ? {} : { key: certKey }) }
  return new HttpClient({
    ...(await readConnectionOptions(connections)),
    headers: { 'User-Agent': `ferry/${version}`, Accept: '*/*' },
    secretHeaders: secretNames,
  })
}

function readShared(options: SendOptions): UploadOptions {
  const { protocol, checksum, onDoubt, parallel, retries, offline, timeout } = options
  const bytesPerSecond = parseSize('limit-rate', options.limitRate)
  const stallTimeoutMs = timeout * 1000
  return {
    protocol,
    checksum,
    onDoubt,
    parallel,
    chunkBytes: parseSize('chunk-size', options.chunkSize),
    maxRetries: retries,
    offline,
    stallTimeoutMs,
    answerTimeoutMs: stallTimeoutMs * ANSWER_TIMEOUTS,
    ...(bytesPerSecond === undefined ? {} : { limit: new RateLimit(bytesPerSecond) }),
  }
}

async function readAuthorization(
  { user, key, keyFile }: SendOptions,
  { fields }: OptionFields,
  asking: Asking,
): Promise<string | undefined> {
  const named = { user, key, 'key-file': keyFile }
  const option = Object.entries(named).find(([, value]) => value !== undefined)?.[0]
  if (option !== undefined && hasAuthorization(fields)) {
    throw new ConfigError(option, `Cannot use --${option} beside a --header Authorization`)
  }
  if (user === undefined) return undefined
  const { readCredentials } = await import('./fetch-credentials.ts')
  return readCredentials(user, asking)
}

function hasAuthorization(fields: OptionFields['fields']): boolean {
  return fields.some(([name]) => name.toLowerCase() === 'authorization')
}

/** What a URL itself says. */
function authorizationOf({ credentials }: HttpUrl): string | undefined {
  return credentials === undefined ? undefined : basic(credentials.username, credentials.password)
}
