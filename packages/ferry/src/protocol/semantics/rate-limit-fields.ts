/**
 * What a server says of its quotas: RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-
 * headers-10, and the dictionary of draft 07, which many servers send), RateLimit-Limit, -Remaining
 * and -Reset (drafts 00 to 06), and the habit X-RateLimit-…, spelled X-Rate-Limit-… by some.
 *
 * All of it is a hint: what cannot be read is passed over, and the newest form that can be read counts.
 */
import type { HeaderFields } from './header-fields.ts'
import { parseHttpDate } from './http-date.ts'
import {
  type BareItem,
  type Item,
  parseItemDictionary,
  parseItemList,
} from './structured-fields.ts'

/** One quota; undefined for what the server does not say. */
export interface Quota {
  /** What a whole window allows: requests, mostly. */
  readonly limit: number | undefined
  /** What is left of it. */
  readonly remaining: number | undefined
  /** How long until it is whole again. */
  readonly resetMs: number | undefined
}

/** Prefixes of the older fields, newest first. */
const PREFIXES = ['ratelimit', 'x-ratelimit', 'x-rate-limit'] as const
// Nobody waits for 31 years, so a number from here on is an instant: 2001 in seconds of the epoch,
const FIRST_EPOCH_SECONDS = 1e9
// and in milliseconds, since no instant in seconds gets there before the year 33658.
const FIRST_EPOCH_MS = 1e12

/** Reads the quotas of a response; `now` in epoch ms. */
export function parseRateLimitFields(headers: HeaderFields, now: number): readonly Quota[] {
  // Most responses have none of them.
  if (!headers.lowerNames.some((name) => /^(x-)?rate-?limit/.test(name))) return []
  const current = headers.get('ratelimit')
  if (current !== undefined) {
    const quotas = parseNamedQuotas(current, headers.get('ratelimit-policy') ?? '')
    if (quotas !== undefined) return quotas
    const quota = parseDictionary(current)
    if (quota !== undefined) return [quota]
  }
  for (const prefix of PREFIXES) {
    const quota = parseTriple(headers, prefix, now)
    if (quota !== undefined) return [quota]
  }
  return []
}

/**
 * How long until every exhausted quota is whole again; undefined when none is, or when nobody says.
 * After a refusal, one that does not tell what remains counts as exhausted.
 */
export function exhaustedForMs(
  quotas: readonly Quota[],
  { refused }: { readonly refused: boolean },
): number | undefined {
  let longest: number | undefined
  for (const { remaining, resetMs } of quotas) {
    const isExhausted = remaining === undefined ? refused : remaining === 0
    if (!isExhausted || resetMs === undefined) continue
    longest = Math.max(longest ?? 0, resetMs)
  }
  return longest
}

/** Draft 10 §4: `"hourly";r=0;t=30`, beside the policy `"hourly";q=100;w=3600`. */
function parseNamedQuotas(text: string, policyText: string): Quota[] | undefined {
  const items = parseItemList(text)
  if (items === undefined || !items.every(({ bare }) => bare.type === 'string')) return undefined
  const policies = new Map<string, Item>()
  for (const policy of parseItemList(policyText) ?? []) {
    if (policy.bare.type === 'string') policies.set(policy.bare.value, policy)
  }
  const quotas = items.map(({ bare, parameters }): Quota => {
    const policy = policies.get(bare.value as string)?.parameters
    // Without `t`, the window itself is the longest that it can take.
    const seconds = countOf(parameters.get('t')) ?? countOf(policy?.get('w'))
    return {
      limit: countOf(policy?.get('q')),
      remaining: countOf(parameters.get('r')),
      resetMs: seconds === undefined ? undefined : seconds * 1000,
    }
  })
  // Draft 10 §4.1: `r` is required.
  return quotas.filter(({ remaining }) => remaining !== undefined)
}

/** Draft 07 §5: `limit=100, remaining=0, reset=30`. */
function parseDictionary(text: string): Quota | undefined {
  const members = parseItemDictionary(text)
  const seconds = countOf(members?.get('reset')?.bare)
  return toQuota({
    limit: countOf(members?.get('limit')?.bare),
    remaining: countOf(members?.get('remaining')?.bare),
    resetMs: seconds === undefined ? undefined : seconds * 1000,
  })
}

function parseTriple(headers: HeaderFields, prefix: string, now: number): Quota | undefined {
  const read = (name: string): string => headers.get(`${prefix}-${name}`) ?? ''
  return toQuota({
    // Drafts 00 to 06 let policies follow: `100, 100;w=60`.
    limit: parseCount(read('limit').replace(/[,;].*$/s, '')),
    remaining: parseCount(read('remaining')),
    resetMs: parseReset(read('reset'), now),
  })
}

/** Undefined when there is nothing in it that tells when to go on. */
function toQuota(quota: Quota): Quota | undefined {
  return quota.remaining === undefined && quota.resetMs === undefined ? undefined : quota
}

/** Seconds from now, an instant in seconds or in ms of the epoch, or an HTTP-date: all are in use. */
function parseReset(text: string, now: number): number | undefined {
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) {
    const at = parseHttpDate(text)
    return at === undefined ? undefined : Math.max(0, at - now)
  }
  const number = Number(text)
  if (number >= FIRST_EPOCH_MS) return Math.max(0, number - now)
  if (number >= FIRST_EPOCH_SECONDS) return Math.max(0, number * 1000 - now)
  return number * 1000
}

function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function countOf(bare: BareItem | undefined): number | undefined {
  return bare?.type === 'integer' && bare.value >= 0 ? bare.value : undefined
}
