/** How the server is reached: trust, identity, proxy, protocol and limits of time, from the options. */
import { buildTlsContext, proxyFromEnvironment } from 'ferry/client'
import type { ConnectionPoolOptions, Http2Choice, ProxyChoice } from 'ferry/transport'
import { readOptionFile } from './fetch-fields.ts'
import type { FetchOptions } from './fetch-options.ts'

// RFC 3986 §3.1
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i

/**
 * Gives the settings of the pool.
 * @throws {ConfigError} when a file cannot be read, or the environment names no usable proxy
 */
export async function readPoolOptions(options: FetchOptions): Promise<ConnectionPoolOptions> {
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

function proxyOf(text: string | undefined): ProxyChoice | undefined {
  if (text === undefined) return proxyFromEnvironment(process.env)
  if (text === 'none') return undefined
  return SCHEME.test(text) ? text : `http://${text}`
}

function http2Of({ http1, http2PriorKnowledge }: FetchOptions): Http2Choice {
  if (http1 === true) return 'off'
  return http2PriorKnowledge === true ? 'prior-knowledge' : 'alpn'
}
