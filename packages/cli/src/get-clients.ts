/** The clients that downloads use: one with what the options say, and variants of it for single files. */
import {
  createCookieJar,
  HttpClient,
  type HttpClientOptions,
  type MemoryCookieJar,
  proxyFromEnvironment,
  readCookieFile,
} from 'ferry/client'
import type { InputOptions } from 'ferry/download/lists'
import { ConfigError } from 'ferry/errors'
import { readConnectionOptions } from './fetch-network.ts'
import { reasonOf } from './fetch-system-errors.ts'
import type { GetOptions } from './get-options.ts'
import { addSecrets, basic, type GetFields, parseUrls } from './get-secrets.ts'
import { readOptionFile } from './option-files.ts'
import { version } from './version.ts'

/** What a list says of how one file is reached. */
export type ItemNetwork = Pick<
  InputOptions,
  'credentials' | 'connectTimeoutMs' | 'timeoutMs' | 'proxies' | 'noProxy'
>

/** A list that was read. */
export interface GetList {
  readonly text: string
  /** Where it came from, after redirections; undefined for a file. */
  readonly url: string | undefined
}

// RFC 3986 §3.1
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i
// More than the largest Metalink or list of digests that is meant to be used.
const MAX_LIST_BYTES = 16_777_216

/** The clients of one run. Closing it closes them all. */
export class GetClients implements AsyncDisposable {
  readonly #options: GetOptions
  readonly #fields: GetFields
  readonly #shared: HttpClient
  /** Those with connections of their own. */
  readonly #others: HttpClient[] = []

  private constructor(options: GetOptions, fields: GetFields, shared: HttpClient) {
    this.#options = options
    this.#fields = fields
    this.#shared = shared
  }

  /** @throws {ConfigError} */
  static async open(options: GetOptions, fields: GetFields): Promise<GetClients> {
    // Several connections are to carry a file; over HTTP/2 one would carry it all.
    const http1 = options.http2 === true ? {} : { http1: true as const }
    const cookies = options.cookies === undefined ? undefined : await readCookies(options.cookies)
    const shared = new HttpClient({
      ...(await readConnectionOptions({ ...options, ...http1 })),
      headers: { 'User-Agent': options.userAgent ?? `ferry/${version}`, Accept: '*/*' },
      maxRedirects: options.maxRedirects,
      secretHeaders: fields.secretNames,
      ...(cookies === undefined ? {} : { cookies }),
    })
    return new GetClients(options, fields, shared)
  }

  /**
   * The client for a file.
   * @param trusted URLs whose origins may see what is secret
   */
  clientFor(trusted: readonly string[], network?: ItemNetwork): HttpClient {
    const given = network?.credentials
    const secrets =
      given === undefined
        ? this.#fields
        : { ...this.#fields, authorization: basic(given.username, given.password) }
    const client = this.#shared.extend({
      ...(network === undefined ? {} : connectionsOf(network, this.#options.proxy)),
      interceptors: [addSecrets(secrets, parseUrls(trusted))],
    })
    if (network !== undefined) this.#others.push(client)
    return client
  }

  /** Reads a list that an option or argument names: a file, or a URL, which the user has given. */
  async readList(option: string, place: string, signal: AbortSignal): Promise<GetList> {
    if (SCHEME.test(place)) return this.fetchList(place, { trusted: [place], signal })
    return { text: await readOptionFile(option, place), url: undefined }
  }

  /** Fetches a list; what is secret goes to the origins of `trusted` only. */
  async fetchList(
    url: string,
    { trusted, signal }: { readonly trusted: readonly string[]; readonly signal: AbortSignal },
  ): Promise<GetList> {
    const response = await this.clientFor(trusted).stream('GET', url, {
      headers: this.#fields.open,
      retries: this.#options.retries,
      maxBytes: MAX_LIST_BYTES,
      timeoutMs: Number.POSITIVE_INFINITY,
      signal,
    })
    return { text: await response.text(), url: response.url.href }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#others) await client.close()
    await this.#shared.close()
  }
}

/** What of a list differs from the options, as settings of a client. */
function connectionsOf(
  { connectTimeoutMs, timeoutMs, proxies, noProxy }: ItemNetwork,
  proxyOption: string | undefined,
): Pick<HttpClientOptions, 'connectTimeoutMs' | 'headersTimeoutMs' | 'bodyTimeoutMs' | 'proxy'> {
  const isProxied = proxies.http !== undefined || proxies.https !== undefined
  return {
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    ...(timeoutMs === undefined ? {} : { headersTimeoutMs: timeoutMs, bodyTimeoutMs: timeoutMs }),
    ...(isProxied || noProxy !== undefined
      ? { proxy: chooseProxy({ proxies, noProxy }, proxyOption) }
      : {}),
  }
}

/** As the environment would: for each scheme what the list says, else what the option or it says. */
function chooseProxy(
  { proxies, noProxy }: Pick<ItemNetwork, 'proxies' | 'noProxy'>,
  proxyOption: string | undefined,
): HttpClientOptions['proxy'] {
  const { env } = process
  const usual = (scheme: 'http' | 'https'): string | undefined => {
    if (proxyOption !== undefined) return proxyOption === 'none' ? undefined : proxyOption
    const names = [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`, 'all_proxy', 'ALL_PROXY']
    return names.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  }
  const of = (scheme: 'http' | 'https'): string | undefined => {
    const said = proxies[scheme]
    return said === false ? undefined : (said ?? usual(scheme))
  }
  const chooser = proxyFromEnvironment({
    http_proxy: of('http'),
    https_proxy: of('https'),
    no_proxy: noProxy ?? env['no_proxy'] ?? env['NO_PROXY'],
  })
  return chooser ?? false
}

async function readCookies(path: string): Promise<MemoryCookieJar> {
  try {
    return createCookieJar({ cookies: await readCookieFile(path) })
  } catch (cause) {
    const reason = reasonOf(cause as NodeJS.ErrnoException)
    throw new ConfigError('cookies', `Cannot read ${path} for --cookies: ${reason}`)
  }
}
