/**
 * What the option lines of an input list say of a download: aria2's names and values become Ferry's.
 * Pure.
 */
import { isFieldValue, isToken } from '../../protocol/semantics/grammar.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import type { OnExists } from '../download-options.ts'
import { type Checksum, parseChecksum } from '../integrity/checksum.ts'
import { IGNORED_ARIA2_OPTIONS } from './aria2-options-table.ts'
import {
  asBoolean,
  asBytes,
  asCount,
  asMs,
  asText,
  type InputSetting,
  type InputSettings,
  UnusableLine,
} from './input-settings.ts'

/** What a list says of one download; undefined where it says nothing. */
export interface InputOptions {
  /** Folder to save into. */
  readonly dir: string | undefined
  /** Name to save under, in the folder. */
  readonly output: string | undefined
  /** Fields of every request, Referer and User-Agent among them. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  readonly checksum: Checksum | undefined
  readonly maxConnections: number | undefined
  readonly limitBytesPerSecond: number | undefined
  /** Tries in a row that may bring nothing; may be infinite. */
  readonly maxRetries: number | undefined
  readonly retryDelayMs: number | undefined
  readonly connectTimeoutMs: number | undefined
  /** How long nothing may come. */
  readonly timeoutMs: number | undefined
  /** URLs of proxies, by the scheme of what is fetched; `false` for none at all. */
  readonly proxies: Readonly<Record<Scheme, string | false | undefined>>
  /** As in NO_PROXY. */
  readonly noProxy: string | undefined
  readonly onExists: OnExists | undefined
  /** Fetches only what is newer than the file that is there. */
  readonly ifNewer: boolean | undefined
  /** Gives the file the time that the server says. */
  readonly remoteTime: boolean | undefined
}

type Scheme = 'http' | 'https'

/**
 * Reads the option lines of one item.
 * @param urls those of the item
 * @param onIgnored told of the options that aria2 has and Ferry has no use for
 * @throws {UnusableLine} for a value of another form, and for an option that aria2 does not know
 */
export function readInputOptions(
  settings: InputSettings,
  urls: readonly string[],
  onIgnored: (setting: InputSetting) => void,
): InputOptions {
  const options = {
    dir: settings.read('dir', asText),
    output: settings.read('out', asText),
    headers: readHeaders(settings, urls),
    credentials: readCredentials(settings),
    checksum: settings.read('checksum', parseChecksum),
    maxConnections: readConnections(settings, urls.length),
    limitBytesPerSecond: settings.read('max-download-limit', asLimit),
    maxRetries: settings.read('max-tries', asTries),
    retryDelayMs: settings.read('retry-wait', asDelay),
    connectTimeoutMs: settings.read('connect-timeout', asMs),
    timeoutMs: settings.read('timeout', asMs),
    proxies: { http: readProxy(settings, 'http'), https: readProxy(settings, 'https') },
    noProxy: settings.read('no-proxy', asText),
    onExists: readOnExists(settings),
    ifNewer: settings.read('conditional-get', asBoolean),
    remoteTime: settings.read('remote-time', asBoolean),
  }
  // Goes without saying here.
  settings.read('continue', asBoolean)
  for (const setting of settings.unread) {
    if (!IGNORED_ARIA2_OPTIONS.has(setting.name)) {
      throw new UnusableLine(setting.line, `unknown option ${JSON.stringify(setting.name)}`)
    }
    onIgnored(setting)
  }
  return options
}

function readHeaders(settings: InputSettings, urls: readonly string[]): [string, string][] {
  const referer = settings.read('referer', asFieldValue)
  const userAgent = settings.read('user-agent', asFieldValue)
  // As in aria2, a star stands for the URL itself.
  const from = referer === '*' ? HttpUrl.parse(urls[0] as string).href : referer
  const headers = settings.readAll('header', asField)
  if (from !== undefined) headers.push(['Referer', from])
  if (userAgent !== undefined) headers.push(['User-Agent', userAgent])
  return headers
}

function asField(text: string): [name: string, value: string] {
  const colon = text.indexOf(':')
  const name = text.slice(0, colon).trim()
  if (colon === -1 || !isToken(name)) throw new Error('expected NAME: VALUE')
  return [name, asFieldValue(text.slice(colon + 1).trim())]
}

function asFieldValue(text: string): string {
  if (isFieldValue(text)) return text
  throw new Error('expected a value without control characters and ones above U+00FF')
}

function readCredentials(settings: InputSettings): InputOptions['credentials'] {
  const username = settings.read('http-user', asText)
  const password = settings.read('http-passwd', asText)
  if (username === undefined && password === undefined) return undefined
  return { username: username ?? '', password: password ?? '' }
}

/** aria2 counts in all and by server; each URL is taken for a server of its own. */
function readConnections(settings: InputSettings, servers: number): number | undefined {
  const inAll = settings.read('split', asConnections)
  const byServer = settings.read('max-connection-per-server', asConnections)
  if (inAll === undefined || byServer === undefined) return inAll ?? byServer
  return Math.min(inAll, byServer * servers)
}

function asConnections(text: string): number {
  const count = asCount(text)
  if (count > 0) return count
  throw new Error('expected a whole number from 1')
}

/** Zero stands for no limit. */
function asLimit(text: string): number | undefined {
  return asBytes(text) || undefined
}

/** Zero stands for no limit. */
function asTries(text: string): number {
  return asCount(text) || Number.POSITIVE_INFINITY
}

/** Zero stands for what is usual. */
function asDelay(text: string): number | undefined {
  return asCount(text) * 1000 || undefined
}

/** Where both are said, replacing goes before renaming, as in aria2. */
function readOnExists(settings: InputSettings): OnExists | undefined {
  const mayReplace = settings.read('allow-overwrite', asBoolean)
  const mayRename = settings.read('auto-file-renaming', asBoolean)
  if (mayReplace === true) return 'overwrite'
  return mayRename === undefined ? undefined : mayRename ? 'rename' : 'fail'
}

/** The proxy of the scheme goes before that of all; an empty one stands for none. */
function readProxy(settings: InputSettings, scheme: Scheme): string | false | undefined {
  const names = [`${scheme}-proxy`, 'all-proxy']
  const read = (suffix: string, parse: (text: string) => string): string | undefined =>
    names.map((name) => settings.read(name + suffix, parse)).find((value) => value !== undefined)
  const proxy = read('', asProxy)
  if (proxy === undefined) return undefined
  if (proxy === '') return false
  const url = new URL(proxy)
  const username = read('-user', asText)
  const password = read('-passwd', asText)
  if (username !== undefined) url.username = username
  if (password !== undefined) url.password = password
  return url.href
}

/** aria2 lets the scheme be left out. */
function asProxy(text: string): string {
  const url = text === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (url === '' || URL.canParse(url)) return url
  throw new Error('expected HOST:PORT or a URL')
}
