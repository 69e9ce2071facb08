/** How the server is reached: trust, identity, proxy, protocol and limits of time, from the options. */
import { buildTlsContext, type HttpClientOptions } from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import type { Http2Choice } from 'ferry/transport'
import type { FetchOptions } from './fetch-options.ts'
import { readOptionFile } from './option-files.ts'

// RFC 3986 §3.1
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i

/** What the client is told of its connections. */
export type ConnectionOptions = Pick<
  HttpClientOptions,
  | 'tls'
  | 'proxy'
  | 'http2'
  | 'poolTimeoutMs'
  | 'connectTimeoutMs'
  | 'headersTimeoutMs'
  | 'bodyTimeoutMs'
>

/** The options that say how a server is reached, of whichever command. */
export type NetworkOptions = Pick<
  FetchOptions,
  'timeout' | 'proxy' | 'http1' | 'http2PriorKnowledge' | 'cacert' | 'cert' | 'key' | 'insecure'
>

/**
 * Gives the settings of the client's connections.
 * @throws {ConfigError} when a file cannot be read, or --key has no certificate
 */
export async function readConnectionOptions(options: NetworkOptions): Promise<ConnectionOptions> {
  if (options.key !== undefined && options.cert === undefined) {
    throw new ConfigError('key', 'Cannot use --key alone: --cert names the certificate it is for')
  }
  const read = async (name: 'cacert' | 'cert' | 'key'): Promise<string | undefined> => {
    const path = options[name]
    return path === undefined ? undefined : readOptionFile(name, path)
  }
  const ca = await read('cacert')
  const cert = await read('cert')
  const key = (await read('key')) ?? cert
  const timeoutMs = options.timeout === 0 ? Number.POSITIVE_INFINITY : options.timeout * 1000
  return {
    tls: buildTlsContext({ ca, cert, key, verify: options.insecure !== true }),
    proxy: proxyOf(options.proxy),
    http2: http2Of(options),
    poolTimeoutMs: Number.POSITIVE_INFINITY,
    connectTimeoutMs: timeoutMs,
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
  }
}

function proxyOf(text: string | undefined): HttpClientOptions['proxy'] {
  if (text === undefined) return 'environment'
  if (text === 'none') return false
  return SCHEME.test(text) ? text : `http://${text}`
}

function http2Of({ http1, http2PriorKnowledge }: NetworkOptions): Http2Choice {
  if (http1 === true) return 'off'
  return http2PriorKnowledge === true ? 'prior-knowledge' : 'alpn'
}
