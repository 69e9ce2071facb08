/** One file to fetch, and what the options say of it. */
import { basename, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DownloadOptions, fileNameOf, type RateLimit } from 'ferry/download'
import { ConfigError } from 'ferry/errors'
import { parseSize } from './format.ts'
import type { ItemNetwork } from './get-clients.ts'
import type { ExistsChoice, GetOptions } from './get-options.ts'
import { parseUrls } from './get-secrets.ts'

/** A file to fetch. */
export interface GetItem {
  /** Where it is, the preferred place first; not yet known to be URLs. */
  readonly urls: readonly string[]
  /** A path, or a folder, where the server says what it is called. */
  readonly target: string
  readonly isFolder: boolean
  /** Made if it is not there. */
  readonly folder: string | undefined
  /** What it is called until the server has said so. */
  readonly name: string
  /** URLs that the user has given for it, whose origins may see what is secret. */
  readonly trusted: readonly string[]
  readonly network: ItemNetwork | undefined
  readonly settings: ItemSettings
}

/** What differs from file to file. */
export type ItemSettings = Pick<
  DownloadOptions,
  | 'checksum'
  | 'pieces'
  | 'size'
  | 'maxConnections'
  | 'limitBytesPerSecond'
  | 'maxRetries'
  | 'retryDelayMs'
  | 'onExists'
  | 'ifNewer'
  | 'remoteTime'
> & { readonly headers?: readonly (readonly [string, string])[] | undefined }

/** Makes an item of its URLs and what a list says of it; the options say the rest. */
export function itemOf(
  urls: readonly string[],
  options: GetOptions,
  said: {
    readonly dir?: string | undefined
    readonly output?: string | undefined
    readonly settings?: ItemSettings
    readonly network?: ItemNetwork
  } = {},
): GetItem {
  const { settings = {}, network } = said
  const folder = said.dir ?? options.dir
  const dir = pathOf(folder ?? '.')
  const output = said.output ?? options.output
  const [url] = parseUrls(urls)
  const file = output === undefined ? undefined : pathOf(output)
  return {
    urls,
    // With a separator at its end it is taken for a folder in any case.
    target: file === undefined ? join(dir, sep) : resolve(dir, file),
    isFolder: file === undefined,
    folder: folder === undefined ? undefined : dir,
    name: file === undefined ? (url === undefined ? 'download' : fileNameOf(url)) : basename(file),
    trusted: urls,
    network,
    settings,
  }
}

/** A path, which may be given as a file: URL. */
function pathOf(text: string): string {
  if (!text.startsWith('file:')) return text
  try {
    return fileURLToPath(text)
  } catch (cause) {
    throw new ConfigError('output', `Cannot write to ${text}: ${(cause as Error).message}`)
  }
}

/** What becomes of a file of the same name. */
export function existsChoiceOf({ overwrite, onExists }: GetOptions): ExistsChoice {
  return overwrite === true ? 'overwrite' : onExists
}

/** What the options say of every file, as settings of its download. */
export function settingsOf(
  options: GetOptions,
  shared: { readonly limit: RateLimit | undefined },
): DownloadOptions {
  return {
    trustMirrors: options.trustMirrors,
    maxConnections: options.connections,
    maxRetries: options.retries,
    limitBytesPerSecond: parseSize('limit-each', options.limitEach),
    limit: shared.limit,
    maxSizeBytes: parseSize('max-size', options.maxSize),
    onExists: existsChoiceOf(options),
    ifNewer: options.ifNewer,
    remoteTime: options.remoteTime,
    makeExecutable: options.executable,
    allocation: options.allocation,
    fresh: options.fresh,
    onChange: options.onChange,
  }
}
