/**
 * The arithmetic of the Digest scheme (RFC 7616): from a challenge, credentials and a request to the
 * value of Authorization. Pure but for the hash functions, which are Node's; sends nothing.
 */
import { createHash } from 'node:crypto'
import type { Challenge } from './challenge.ts'

/** Hash function of the scheme → its name in node:crypto. */
const HASHES = { md5: 'md5', 'sha-256': 'sha256', 'sha-512-256': 'sha512-256' } as const
type HashName = keyof typeof HASHES
const STRONGEST_FIRST: readonly HashName[] = ['sha-512-256', 'sha-256', 'md5']

/** Quality of protection: undefined is that of RFC 2069, which old servers still ask for. */
export type DigestQop = 'auth' | 'auth-int' | undefined

/** A challenge that can be answered. */
export interface DigestChallenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | undefined
  /** As the server spells it; undefined when it did not name one. */
  readonly algorithm: string | undefined
  readonly hash: HashName
  /** Whether the name of the algorithm ends in -sess. */
  readonly session: boolean
  readonly qop: readonly DigestQop[]
  readonly userhash: boolean
  /** The last answer was right but for the age of its nonce (RFC 7616 §3.3). */
  readonly stale: boolean
}

/** The strongest challenge of the Digest scheme that we understand; undefined when there is none. */
export function chooseDigestChallenge(
  challenges: readonly Challenge[],
): DigestChallenge | undefined {
  const read = challenges.map(readChallenge).filter((challenge) => challenge !== undefined)
  return STRONGEST_FIRST.map((hash) => read.find((one) => one.hash === hash)).find(
    (challenge) => challenge !== undefined,
  )
}

function readChallenge({ scheme, params }: Challenge): DigestChallenge | undefined {
  const realm = params.get('realm')
  const nonce = params.get('nonce')
  if (scheme !== 'digest' || realm === undefined || nonce === undefined) return undefined
  const algorithm = params.get('algorithm')
  const [, name, session] = /^(.*?)(-sess)?$/.exec((algorithm ?? 'MD5').toLowerCase()) ?? []
  const qop = readQop(params.get('qop'))
  if (name === undefined || !(name in HASHES) || qop.length === 0) return undefined
  return {
    realm,
    nonce,
    opaque: params.get('opaque'),
    algorithm,
    hash: name as HashName,
    session: session !== undefined,
    qop,
    userhash: params.get('userhash')?.toLowerCase() === 'true',
    stale: params.get('stale')?.toLowerCase() === 'true',
  }
}

function readQop(text: string | undefined): DigestQop[] {
  if (text === undefined) return [undefined]
  const offered = new Set(text.split(',').map((one) => one.trim().toLowerCase()))
  return (['auth', 'auth-int'] as const).filter((one) => offered.has(one))
}

/** What an answer is made from. */
export interface DigestInput {
  readonly username: string
  readonly password: string
  readonly method: string
  /** What the request line carries. */
  readonly uri: string
  readonly qop: DigestQop
  /** How often the nonce has been used, this time included. */
  readonly count: number
  /** For -sess algorithms the same as with the first use of the nonce. */
  readonly cnonce: string
  /** For `auth-int`. */
  readonly content: Uint8Array
}

/** Gives the value of Authorization (RFC 7616 §3.4). It is a secret. */
export function formatDigestCredentials(challenge: DigestChallenge, input: DigestInput): string {
  const { realm, nonce, opaque, algorithm, userhash } = challenge
  const { qop, uri, cnonce } = input
  const nc = input.count.toString(16).padStart(8, '0')
  const parts = [
    ...formatUsername(challenge, input.username),
    `realm=${quote(realm)}`,
    `uri=${quote(uri)}`,
    ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
    `nonce=${quote(nonce)}`,
    ...(qop === undefined ? [] : [`nc=${nc}`, `cnonce=${quote(cnonce)}`, `qop=${qop}`]),
    // RFC 2069 has no cnonce, yet -sess cannot be checked without one.
    ...(qop === undefined && challenge.session ? [`cnonce=${quote(cnonce)}`] : []),
    `response="${responseOf(challenge, input, nc)}"`,
    ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
    ...(userhash ? ['userhash=true'] : []),
  ]
  return `Digest ${parts.join(', ')}`
}

/** RFC 7616 §3.4.1 to §3.4.3. */
function responseOf(challenge: DigestChallenge, input: DigestInput, nc: string): string {
  const { realm, nonce, session } = challenge
  const { username, password, method, uri, qop, cnonce } = input
  const hash = (...texts: string[]): string => digest(challenge.hash, texts.join(':'))
  const user = hash(username, realm, password)
  const a1 = session ? hash(user, nonce, cnonce) : user
  if (qop === undefined) return hash(a1, nonce, hash(method, uri))
  const a2 =
    qop === 'auth-int'
      ? hash(method, uri, digest(challenge.hash, input.content))
      : hash(method, uri)
  return hash(a1, nonce, nc, cnonce, qop, a2)
}

/** RFC 7616 §3.4.4: hashed where the server asks for that; otherwise names above ASCII get their own form. */
function formatUsername({ userhash, hash, realm }: DigestChallenge, username: string): string[] {
  if (userhash) return [`username="${digest(hash, `${username}:${realm}`)}"`]
  if (/^[\x20-\x7e]*$/.test(username)) return [`username=${quote(username)}`]
  // RFC 8187 §3.2.1: attr-char stays, all else is percent-encoded.
  const encoded = encodeURIComponent(username).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return [`username*=UTF-8''${encoded}`]
}

function digest(hash: HashName, content: string | Uint8Array): string {
  return createHash(HASHES[hash]).update(content).digest('hex')
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, String.raw`\$&`)}"`
}
