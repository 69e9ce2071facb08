/**
 * What is to be fetched: arguments, lists and Metalinks become items, one for each file, with all that
 * is known of it. Nothing of a file is fetched here, but the lists that describe it are.
 */
import { basename } from 'node:path'
import { fileNameOf, parseChecksum, safeFileName, strongestChecksum } from 'ferry/download'
import type { InputItem, MetalinkFile } from 'ferry/download/lists'
import { ConfigError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import type { GetClients } from './get-clients.ts'
import { type GetItem, itemOf, type ItemSettings } from './get-item.ts'
import type { GetOptions } from './get-options.ts'
import { parseUrls } from './get-secrets.ts'

/** What reading takes. */
export interface ItemSources {
  readonly clients: GetClients
  readonly signal: AbortSignal
  /** Told of what has no effect. */
  readonly warn: (sentence: string) => void
}

const METALINK = /\.(?:metalink|meta4)$/i
const STANDARD_INPUT = '-'

/** Gives the items in the order of the command line. @throws {ConfigError} and what fetching throws */
export async function collectItems(
  places: readonly string[],
  options: GetOptions,
  sources: ItemSources,
): Promise<GetItem[]> {
  const items: GetItem[] = []
  for (const place of places) {
    if (isMetalink(place, options)) items.push(...(await readMetalink(place, options, sources)))
    else for (const url of await expand(place, options)) items.push(itemOf([url], options))
  }
  if (options.input !== undefined) items.push(...(await readInput(options.input, options, sources)))
  checkCount(items.length, options)
  return addChecksums(
    items.map((item) => addMirrors(item, options)),
    options,
    sources,
  )
}

async function expand(place: string, options: GetOptions): Promise<readonly string[]> {
  if (options.expand !== true) return [place]
  const { expandUrl } = await import('ferry/download/lists')
  return expandUrl(place)
}

// ── Lists

async function readInput(
  path: string,
  options: GetOptions,
  { clients, signal, warn }: ItemSources,
): Promise<GetItem[]> {
  const text =
    path === STANDARD_INPUT
      ? await readStandardInput()
      : (await clients.readList('input', path, signal)).text
  const { parseInputList } = await import('ferry/download/lists')
  const name = path === STANDARD_INPUT ? 'the list of standard input' : path
  const { items, warnings } = parseInputList(text, {
    name,
    expand: options.expand === true ? 'files' : 'off',
  })
  for (const warning of warnings) warn(warning)
  return items.map((item) => inputItem(item, options))
}

async function readStandardInput(): Promise<string> {
  const { text } = await import('node:stream/consumers')
  return text(process.stdin)
}

function inputItem({ urls, options: said }: InputItem, options: GetOptions): GetItem {
  const { dir, output, credentials, connectTimeoutMs, timeoutMs, proxies, noProxy } = said
  const isUsual = [
    credentials,
    connectTimeoutMs,
    timeoutMs,
    noProxy,
    proxies.http,
    proxies.https,
  ].every((value) => value === undefined)
  return itemOf(urls, options, {
    dir,
    output,
    ...(isUsual ? {} : { network: { credentials, connectTimeoutMs, timeoutMs, proxies, noProxy } }),
    settings: {
      headers: said.headers,
      checksum: said.checksum,
      maxConnections: said.maxConnections,
      limitBytesPerSecond: said.limitBytesPerSecond,
      maxRetries: said.maxRetries,
      retryDelayMs: said.retryDelayMs,
      onExists: said.onExists,
      ifNewer: said.ifNewer,
      remoteTime: said.remoteTime,
    },
  })
}

// ── Metalinks

function isMetalink(place: string, { metalink }: GetOptions): boolean {
  return metalink && METALINK.test(place.split(/[?#]/, 1)[0] as string)
}

async function readMetalink(
  place: string,
  options: GetOptions,
  { clients, signal }: ItemSources,
): Promise<GetItem[]> {
  const { text, url } = await clients.readList('metalink', place, signal)
  const { parseMetalink } = await import('ferry/download/lists')
  const files = parseMetalink(text, url === undefined ? {} : { base: HttpUrl.parse(url) })
  if (options.output !== undefined && files.length > 1) {
    throw new ConfigError(
      'output',
      `Cannot use --output with ${place}: it describes ${files.length} files`,
    )
  }
  return files.map((file) => metalinkItem(file, options, url === undefined ? [] : [place]))
}

function metalinkItem(
  file: MetalinkFile,
  options: GetOptions,
  trusted: readonly string[],
): GetItem {
  if (file.urls.length === 0) {
    throw new ConfigError(
      'metalink',
      `Cannot fetch ${safeFileName(file.name)}: the Metalink names no http or https URL of it`,
    )
  }
  const urls = file.urls.map(({ url }) => url.href)
  const item = itemOf(urls, options, {
    output: options.output ?? safeFileName(file.name),
    settings: factsOf(file),
  })
  return { ...item, trusted }
}

/** What a Metalink tells of a file. */
export function factsOf({ size, checksums, pieces }: MetalinkFile): ItemSettings {
  return { size, checksum: strongestChecksum(checksums), pieces }
}

// ── What the options say of one file

function checkCount(count: number, options: GetOptions): void {
  if (count === 1) return
  if (count === 0) throw new ConfigError('input', 'Cannot fetch anything: the list names no URL')
  for (const name of ['output', 'checksum', 'mirror'] as const) {
    if (options[name] === undefined) continue
    throw new ConfigError(name, `Cannot use --${name} with ${count} URLs: it is meant for one file`)
  }
}

function addMirrors(item: GetItem, { mirror = [] }: GetOptions): GetItem {
  // Their mistakes are the command line's, while other URLs fail by themselves.
  for (const url of mirror) HttpUrl.parse(url)
  return { ...item, urls: [...item.urls, ...mirror] }
}

async function addChecksums(
  items: readonly GetItem[],
  options: GetOptions,
  { clients, signal }: ItemSources,
): Promise<GetItem[]> {
  const given = strongestChecksum((options.checksum ?? []).map((text) => parseChecksum(text)))
  if (given !== undefined) return items.map((item) => withChecksum(item, given))
  if (options.checksums === undefined) return [...items]
  const { algorithmOfList, findChecksum, parseChecksumList } = await import('ferry/download/lists')
  const place = options.checksums
  const { text } = await clients.readList('checksums', place, signal)
  const name = place.split(/[?#]/, 1)[0] as string
  const entries = parseChecksumList(text, { algorithm: algorithmOfList(name) })
  return items.map((item) => {
    const [url] = parseUrls(item.urls)
    // A list mostly names a file as its server does, whatever it is to be called here.
    const names = [...(url === undefined ? [] : [fileNameOf(url)]), item.name]
    const known = names.find((one) => entries.some((entry) => basename(entry.name ?? '') === one))
    return withChecksum(item, findChecksum(entries, known ?? item.name))
  })
}

function withChecksum(item: GetItem, checksum: ItemSettings['checksum']): GetItem {
  return { ...item, settings: { ...item.settings, checksum } }
}
