/** Turns the options of `ferry receive` into those of the server. Reads the files that they name. */
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { ConfigError, UploadError } from 'ferry/errors'
import type { DoorName, DoorOptions, UploadFolderServerOptions } from 'ferry/receive'
import { parseSize } from './format.ts'
import { readOptionFile } from './option-files.ts'
import { definedOf } from './option-values.ts'
import type { PathModeChoice, ReceiveOptions } from './receive-options.ts'

export const DOORS: readonly DoorName[] = ['indexedcp', 'tus', 'ietf']
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const TLS_REASONS: Readonly<Record<string, string>> = {
  ERR_OSSL_PEM_NO_START_LINE: 'a certificate or a key in PEM is missing',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key belongs to another certificate',
}

/** @throws {ConfigError} which names the option */
export async function readSettings(options: ReceiveOptions): Promise<UploadFolderServerOptions> {
  const { maxSize, cors, mount, doors, onExists, ack, pathMode } = options
  const tls = await readTls(options)
  const door = chooseNameBy(pathMode)
  return {
    tus: door,
    ietf: door,
    indexedcp: { pathMode, finishAfterMs: parseTime('finish-after', options.finishAfter) },
    limits: definedOf({
      requestsPerSecond: options.maxRequests,
      bytesPerSecond: parseSize('limit-rate', options.limitRate),
    }),
    ...definedOf({ maxConnections: options.maxConnections, encryption: options.encryption }),
    uploads: {
      ack,
      collision: onExists,
      expiresInMs: parseTime('expire', options.expire),
      limits: definedOf({
        maxUploadBytes: parseSize('max-size', maxSize),
        maxUploads: options.maxUploads,
        maxUploadsPerOwner: options.maxPerKey,
        maxBytesPerOwner: parseSize('quota', options.quota),
        reserveBytes: parseSize('reserve', options.reserve),
        idleTimeoutMs: options.timeout * 1000,
        minBytesPerSecond: parseSize('min-rate', options.minRate),
      }),
    },
    ...(doors === undefined ? {} : { doors: parseDoors(doors) }),
    ...(mount === undefined ? {} : { mount: parseMount(mount) }),
    ...(cors === undefined ? {} : { cors: { origins: parseOrigins(cors) } }),
    ...(tls === undefined ? {} : { tls }),
  }
}

/** Reads a duration: `90s`, `30m`, `12h`, `7d`; gives ms. */
function parseTime(option: string, text: string): number {
  const [, amount, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? []
  const ms = Number(amount) * (UNITS_MS[unit] ?? Number.NaN)
  if (ms > 0 && Number.isSafeInteger(ms)) return ms
  throw unusable(option, text, 'a time like 90s, 30m, 12h or 7d')
}

/** What --path-mode means to protocols other than IndexedCP's, which has it itself. */
function chooseNameBy(mode: PathModeChoice): Pick<DoorOptions, 'chooseName'> {
  if (mode === 'ignore') return {}
  return {
    chooseName: ({ name = '' }) => {
      if (name === '') return undefined
      const segments = name.split(/[/\\]/)
      const isLeaving = segments[0] === '' || segments.includes('..') || /^[a-z]:/i.test(name)
      if (isLeaving || (mode === 'sanitize' && segments.length > 1)) {
        throw new UploadError('name-refused', 'Cannot give an upload a name that holds folders')
      }
      return segments.join('/')
    },
  }
}

function parseDoors(text: string): DoorName[] {
  const names = text.split(',') as DoorName[]
  if (names.every((name) => DOORS.includes(name))) return names
  throw unusable('doors', text, `some of ${DOORS.join(',')}`)
}

function parseMount(text: string): string {
  if (/^\/[^?#\s]*[^/?#\s]$/.test(text)) return text
  throw unusable('mount', text, 'a path like /api')
}

function parseOrigins(texts: readonly string[]): readonly string[] | '*' {
  if (texts.includes('*')) return '*'
  for (const text of texts) {
    if (URL.parse(text)?.origin !== text) {
      throw unusable('cors', text, 'an origin like https://app.example, or *')
    }
  }
  return texts
}

async function readTls({
  tlsCert,
  tlsKey,
}: ReceiveOptions): Promise<SecureContextOptions | undefined> {
  if (tlsCert === undefined) {
    if (tlsKey === undefined) return undefined
    throw new ConfigError('tls-key', 'Cannot use --tls-key without --tls-cert')
  }
  const cert = await readOptionFile('tls-cert', tlsCert)
  const key = tlsKey === undefined ? cert : await readOptionFile('tls-key', tlsKey)
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    const reason = TLS_REASONS[code] ?? message
    const files = tlsKey === undefined ? tlsCert : `${tlsCert} with ${tlsKey}`
    throw new ConfigError('tls-cert', `Cannot use the certificate of ${files}: ${reason}`)
  }
  return { cert, key }
}

function unusable(option: string, text: string, expected: string): ConfigError {
  return new ConfigError(
    option,
    `Cannot use ${JSON.stringify(text)} for --${option}: expected ${expected}`,
  )
}
