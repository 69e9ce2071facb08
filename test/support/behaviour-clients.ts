/**
 * Ferry, undici, fetch, got, ky and axios behind one face: as they are, and as their README recommends
 * for the case. Waits before another try are shortened where a client lets them be.
 */
import dns, { type LookupAddress } from 'node:dns'
import axios, { type AxiosError } from 'axios'
import { HttpClient } from 'ferry/client'
import { isFerryError } from 'ferry/errors'
import { NodeBackend } from 'ferry/transport'
import got, { type HTTPError as GotError } from 'got'
import ky, { isHTTPError } from 'ky'
import { Agent, type Dispatcher, interceptors, request as undiciRequest } from 'undici'

/** What a row is about: what a README may have advice for. */
export type Topic = 'plain' | 'retry' | 'redirect' | 'decode' | 'bomb' | 'slow' | 'lookup'

/** What is asked for. */
export interface Ask {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly content?: string
  readonly timeoutMs?: number
  /** The addresses of the host. */
  readonly addresses?: readonly LookupAddress[]
}

/** What came. */
export interface Reply {
  readonly status: number
  readonly text: string
}

/** A client, made for one row. */
export interface BehaviourClient extends AsyncDisposable {
  /** Rejects when there is no reply. A status of 400 or more is one. */
  send(ask: Ask): Promise<Reply>
}

/** A column of the table. */
export interface Column {
  readonly name: ColumnName
  create(topic: Topic): BehaviourClient
  /** With what the README recommends; undefined where that is nothing, or is what one has anyway. */
  createAdvised?(
    topic: Topic,
  ): { readonly advice: string; readonly client: BehaviourClient } | undefined
}

export type ColumnName = 'ferry' | 'undici.request' | 'fetch' | 'got' | 'ky' | 'axios'

const SHORT_DELAY_MS = 10
const MAX_CONTENT_LENGTH = 10_485_760
const nothing = (): Promise<void> => Promise.resolve()

/** The columns in their order. */
export const COLUMNS: readonly Column[] = [
  { name: 'ferry', create: createFerry },
  {
    name: 'undici.request',
    create: () => createUndici((agent) => agent),
    createAdvised: adviseUndici,
  },
  { name: 'fetch', create: createFetch },
  { name: 'got', create: createGot },
  { name: 'ky', create: createKy },
  {
    name: 'axios',
    create: () => createAxios({}),
    createAdvised: (topic) =>
      topic === 'bomb'
        ? {
            advice: 'maxContentLength',
            client: createAxios({ maxContentLength: MAX_CONTENT_LENGTH }),
          }
        : undefined,
  },
]

function createFerry(): BehaviourClient {
  let addresses: readonly LookupAddress[] = []
  const backend = new NodeBackend({
    resolver: {
      resolve: () => Promise.resolve(addresses as { address: string; family: 4 | 6 }[]),
      forget: () => {},
    },
  })
  const client = new HttpClient({ responseFormat: 'text', retryDelayMs: SHORT_DELAY_MS, backend })
  return {
    async send({ method, url, headers, content, timeoutMs, addresses: given = [] }) {
      addresses = given
      const call = client.request(method, url, { headers, body: content, timeoutMs })
      try {
        const text = await call
        return { status: (await call.response).status, text }
      } catch (error) {
        if (!isFerryError(error, 'http-status')) throw error
        return { status: (error as unknown as Reply).status, text: '' }
      }
    },
    [Symbol.asyncDispose]: () => client.close(),
  }
}

function createUndici(compose: (agent: Agent) => Dispatcher): BehaviourClient {
  let addresses: readonly LookupAddress[] = []
  const agent = new Agent({
    connect: {
      lookup: (_, __, callback) => callback(null, [...addresses]),
    },
  })
  const dispatcher = compose(agent)
  return {
    async send({ method, url, headers, content, timeoutMs, addresses: given = [] }) {
      addresses = given
      const timeouts =
        timeoutMs === undefined ? {} : { headersTimeout: timeoutMs, bodyTimeout: timeoutMs }
      try {
        const { statusCode, body } = await undiciRequest(url, {
          dispatcher,
          method: method as Dispatcher.HttpMethod,
          headers: headers ?? null,
          body: content ?? null,
          ...timeouts,
        })
        return { status: statusCode, text: await body.text() }
      } catch (error) {
        // Of interceptors.retry, for a refusal too.
        const { statusCode = 0 } = error as { statusCode?: number }
        if (statusCode < 400) throw error
        return { status: statusCode, text: '' }
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

function adviseUndici(topic: Topic): ReturnType<NonNullable<Column['createAdvised']>> {
  switch (topic) {
    case 'retry':
      return {
        advice: 'interceptors.retry',
        client: createUndici((agent) =>
          agent.compose(interceptors.retry({ minTimeout: SHORT_DELAY_MS, maxTimeout: 2000 })),
        ),
      }
    case 'redirect':
      return {
        advice: 'interceptors.redirect',
        client: createUndici((agent) =>
          agent.compose(interceptors.redirect({ maxRedirections: 10 })),
        ),
      }
    case 'decode':
    case 'bomb':
      return {
        advice: 'interceptors.decompress',
        client: createUndici((agent) => agent.compose(interceptors.decompress())),
      }
    case 'plain':
    case 'slow':
    case 'lookup':
      return undefined
  }
}

function createFetch(): BehaviourClient {
  return {
    async send({ method, url, headers = {}, content, timeoutMs, addresses }) {
      teachSystem(url, addresses)
      const response = await fetch(url, {
        method,
        headers,
        ...(content === undefined ? {} : { body: content }),
        signal: timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs),
      })
      return { status: response.status, text: await response.text() }
    },
    [Symbol.asyncDispose]: nothing,
  }
}

function createGot(): BehaviourClient {
  return {
    async send({ method, url, headers, content, timeoutMs, addresses }) {
      try {
        const { statusCode, body } = await got(url, {
          method: method as 'GET',
          retry: { backoffLimit: SHORT_DELAY_MS },
          ...(headers === undefined ? {} : { headers }),
          ...(content === undefined ? {} : { body: content }),
          ...(timeoutMs === undefined ? {} : { timeout: { request: timeoutMs } }),
          ...(addresses === undefined ? {} : { dnsLookup: lookupOf(addresses) as never }),
        })
        return { status: statusCode, text: body }
      } catch (error) {
        const { response } = error as GotError
        if ((error as Error).name !== 'HTTPError') throw error
        return { status: response.statusCode, text: '' }
      }
    },
    [Symbol.asyncDispose]: nothing,
  }
}

function createKy(): BehaviourClient {
  return {
    async send({ method, url, headers = {}, content, timeoutMs, addresses }) {
      teachSystem(url, addresses)
      try {
        const response = await ky(url, {
          method,
          headers,
          retry: { backoffLimit: SHORT_DELAY_MS },
          ...(content === undefined ? {} : { body: content }),
          ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
        })
        return { status: response.status, text: await response.text() }
      } catch (error) {
        if (!isHTTPError(error)) throw error
        return { status: error.response.status, text: '' }
      }
    },
    [Symbol.asyncDispose]: nothing,
  }
}

function createAxios(advised: { readonly maxContentLength?: number }): BehaviourClient {
  return {
    async send({ method, url, headers = {}, content, timeoutMs, addresses }) {
      try {
        const { status, data } = await axios.request<string>({
          method,
          url,
          headers,
          data: content,
          responseType: 'text',
          ...advised,
          ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
          ...(addresses === undefined ? {} : { lookup: lookupOf(addresses) as never }),
        })
        return { status, text: data }
      } catch (error) {
        const { status = 0 } = (error as AxiosError).response ?? {}
        if (status < 400) throw error
        return { status, text: '' }
      }
    },
    [Symbol.asyncDispose]: nothing,
  }
}

/** Names that the system's look-up of this process knows, for clients that take none of their own. */
const taught = new Map<string, readonly LookupAddress[]>()
const systemLookup = dns.lookup

function teachSystem(url: string, addresses: readonly LookupAddress[] | undefined): void {
  if (addresses === undefined) return
  taught.set(new URL(url).hostname, addresses)
  dns.lookup = Object.assign((host: string, ...rest: unknown[]) => {
    const known = taught.get(host)
    const look = known === undefined ? systemLookup : lookupOf(known)
    return (look as (...args: unknown[]) => unknown)(host, ...rest)
  }, systemLookup) as typeof dns.lookup
}

type LookupCallback = (
  error: null,
  addresses: string | readonly LookupAddress[],
  family?: number,
) => void

/** As node:dns gives them: all, or the first. */
function lookupOf(addresses: readonly LookupAddress[]) {
  return (_: string, options: { readonly all?: boolean } | number, callback: LookupCallback) => {
    if (typeof options === 'object' && options.all === true) callback(null, addresses)
    else callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
  }
}

/** The word for an error: its own code, or that of what is behind it. */
export function codeOf(error: unknown): string {
  const seen: Error[] = []
  for (let one = error; one instanceof Error && seen.length < 5; one = one.cause) seen.push(one)
  const coded = seen.find((one) => 'code' in one && typeof one.code === 'string')
  const { name = 'no error' } = seen.at(-1) ?? {}
  return coded === undefined ? name : (coded as unknown as { code: string }).code
}
