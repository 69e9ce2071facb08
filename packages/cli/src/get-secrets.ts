/**
 * Who is asking: fields, credentials and `.netrc`, and to whom they are told. What the user gives for
 * the URLs of the command line goes to their origins, and not to mirrors that somebody else has named.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Interceptor, isSecretField } from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import type { GetOptions } from './get-options.ts'
import { findNetrcEntry, type NetrcEntry, parseNetrc } from './netrc.ts'
import { readFields, readOptionFile } from './option-files.ts'

type Field = readonly [name: string, value: string]

/** What the options say of requests. */
export interface GetFields {
  /** Of every request to whomever. */
  readonly open: readonly Field[]
  /** Only for the origins that the user has named. */
  readonly secret: readonly Field[]
  /** Names of fields that came from files. */
  readonly secretNames: readonly string[]
  /** The value of Authorization from --user. */
  readonly authorization: string | undefined
  readonly netrc: readonly NetrcEntry[]
}

// A download sets these itself, and refuses those of others.
const RANGE_FIELDS: ReadonlySet<string> = new Set(['range', 'if-range'])

/** @throws {ConfigError} when a file cannot be read, or what is in it cannot be used */
export async function readGetFields(
  options: GetOptions,
  stopping: { readonly signal: AbortSignal; readonly interrupt: () => void },
): Promise<GetFields> {
  const { fields, secretNames } = await readFields(options.header ?? [])
  const isSecret = ([name]: Field): boolean =>
    !RANGE_FIELDS.has(name.toLowerCase()) &&
    (isSecretField(name) || secretNames.includes(name.toLowerCase()))
  const open = fields.filter((field) => !isSecret(field))
  if (options.referer !== undefined) open.push(['Referer', options.referer])
  return {
    open,
    secret: fields.filter(isSecret),
    secretNames,
    authorization: await readAuthorization(options, fields, stopping),
    netrc: await readNetrc(options),
  }
}

/** Adds what is secret to requests that may carry it. */
export function addSecrets(
  { secret, authorization, netrc }: Pick<GetFields, 'secret' | 'authorization' | 'netrc'>,
  trusted: readonly HttpUrl[],
): Interceptor {
  const origins = new Set(trusted.map(({ origin }) => origin.key))
  return {
    preRequest(request) {
      const { origin } = request.url
      const isTrusted = origins.has(origin.key)
      let { headers } = request
      if (isTrusted) {
        for (const [name] of secret) headers = headers.without(name)
        for (const [name, value] of secret) headers = headers.append(name, value)
      }
      if (!headers.has('authorization')) {
        const entry = findNetrcEntry(netrc, origin.host)
        const isFor = entry !== undefined && (isTrusted || entry.host !== undefined)
        const value = isTrusted ? authorization : undefined
        const found = value ?? (isFor ? basic(entry.login, entry.password) : undefined)
        if (found !== undefined) headers = headers.with('Authorization', found)
      }
      return request.withHeaders(headers)
    },
  }
}

/** The value of Authorization (RFC 7617). */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

async function readAuthorization(
  { user }: GetOptions,
  fields: readonly Field[],
  stopping: { readonly signal: AbortSignal; readonly interrupt: () => void },
): Promise<string | undefined> {
  if (user === undefined) return undefined
  if (fields.some(([name]) => name.toLowerCase() === 'authorization')) {
    throw new ConfigError('user', 'Cannot use --user beside a --header Authorization')
  }
  const { readCredentials } = await import('./fetch-credentials.ts')
  return readCredentials(user, stopping)
}

async function readNetrc({ netrc, netrcFile }: GetOptions): Promise<NetrcEntry[]> {
  if (netrcFile !== undefined) return parseNetrc(await readOptionFile('netrc-file', netrcFile))
  if (netrc !== true) return []
  return parseNetrc(await readOptionFile('netrc', join(homedir(), '.netrc')))
}

/** Those of some texts that are URLs; the others fail by themselves when they are fetched. */
export function parseUrls(texts: readonly string[]): HttpUrl[] {
  return texts.flatMap((text) => {
    try {
      return [HttpUrl.parse(text)]
    } catch {
      return []
    }
  })
}
