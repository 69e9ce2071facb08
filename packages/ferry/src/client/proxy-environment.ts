/**
 * Proxies as environment variables name them: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
 *
 * Pure: the variables are given, read once, and decide from then on. Precedence is curl's. What a
 * variable says is shown in no message, since it may hold a password anywhere.
 */
import { ConfigError, isFerryError } from '../errors.ts'
import { type NoProxy, parseNoProxy } from '../net/no-proxy.ts'
import { parseProxy, type ProxyOptions } from '../net/proxy.ts'
import type { Origin } from '../transport/http-url.ts'

/** Environment variables, `process.env` for instance. An empty one is as good as none. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Chooses the proxy for an origin; undefined for the straight way. What a pool takes as `proxy`. */
export type ProxyChooser = (origin: Origin) => string | ProxyOptions | undefined

// RFC 3986 §3.1
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i

/** A variable that is set. */
interface Variable {
  readonly name: string
  readonly value: string
}

/**
 * Reads the variables. The lower-case spelling of each wins; `http_proxy` and `https_proxy` are for
 * origins of that scheme, `all_proxy` for what they leave out; `no_proxy` excludes hosts. Without a
 * scheme a proxy is an http one. In a CGI program, known by REQUEST_METHOD, HTTP_PROXY is not read:
 * there it is the request's own field Proxy, which anybody can send.
 * @returns undefined when no variable names a proxy
 * @throws {ConfigError} for a value that cannot be used; `option` is the variable's name
 */
export function proxyFromEnvironment(env: Environment): ProxyChooser | undefined {
  const isCgi = isSet(env['REQUEST_METHOD'])
  const all = readProxy(env, ['all_proxy', 'ALL_PROXY'])
  const proxies = {
    http: readProxy(env, isCgi ? ['http_proxy'] : ['http_proxy', 'HTTP_PROXY']) ?? all,
    https: readProxy(env, ['https_proxy', 'HTTPS_PROXY']) ?? all,
  }
  const noProxy = noProxyFromEnvironment(env)
  if (proxies.http === undefined && proxies.https === undefined) return undefined
  return ({ scheme, host, port }) =>
    noProxy?.excludes(host, port) === true ? undefined : proxies[scheme]
}

/**
 * Reads NO_PROXY alone. Entries that are neither a host nor a network are passed over, as by curl:
 * they stand there for all programs of a machine, and other programs may know more kinds.
 * @returns undefined when it is not set
 */
export function noProxyFromEnvironment(env: Environment): NoProxy | undefined {
  const variable = findVariable(env, ['no_proxy', 'NO_PROXY'])
  if (variable === undefined) return undefined
  return parseNoProxy(variable.value)
}

/**
 * Gives the URL of a proxy from what a setting says, which may leave `http://` out.
 * @param place where the setting stands, for the message
 * @throws {ConfigError} that names the setting, without its value
 */
export function readProxyUrl(value: string, setting: string, place: string = setting): string {
  const text = value.trim()
  const url = SCHEME.test(text) ? text : `http://${text}`
  try {
    parseProxy(url)
  } catch (error) {
    if (!isFerryError(error, 'config')) throw error
    throw new ConfigError(setting, error.message.replace('the proxy', `the proxy of ${place}`))
  }
  return url
}

/**
 * Gives the list of hosts from what a setting says.
 * @param place where the setting stands, for the message
 * @throws {ConfigError} that names the setting and the entry
 */
export function readNoProxy(value: string, setting: string, place: string = setting): NoProxy {
  const noProxy = parseNoProxy(value)
  const { unusable } = noProxy
  if (unusable === undefined) return noProxy
  // A URL may have come here by mistake, with a password.
  const entry = unusable.replace(/^.*@/, '…@')
  throw new ConfigError(
    setting,
    `Cannot use ${JSON.stringify(entry)} in ${place}: expected a name, an address or a network`,
  )
}

function readProxy(env: Environment, names: readonly string[]): string | undefined {
  const variable = findVariable(env, names)
  return variable && readProxyUrl(variable.value, variable.name)
}

function findVariable(env: Environment, names: readonly string[]): Variable | undefined {
  for (const name of names) {
    const value = env[name]
    if (isSet(value)) return { name, value }
  }
  return undefined
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== ''
}
