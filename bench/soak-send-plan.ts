/**
 * What happens in the soak of sending, drawn from a seed: the same seed gives the same plan, as far as
 * the machine keeps time. Pure.
 */
import { between, draw, type Random } from './soak-random.ts'

/** Ways to send. */
export const MODES = ['indexedcp', 'tus', 'tus-parallel', 'ietf'] as const
export type Mode = (typeof MODES)[number]

/** What a sender says, each with the names of the items that it is about. */
export type Step =
  | 'ready'
  | 'adding'
  | 'added'
  | 'sending'
  /** Before and after something is noted for a later run. */
  | 'noting'
  | 'noted'
  /** The server has said that it has everything. */
  | 'answered'
  /** It has left the outbox. */
  | 'done'
  | 'doubt'
  | 'failed'
  | 'ended'

/** When a sender is killed. */
export type Moment =
  /** So long after it was started. */
  | { readonly type: 'starting'; readonly afterMs: number }
  /** So long after it has said something for the n-th time; at 0 it kills itself in that very place. */
  | {
      readonly type: 'step'
      readonly step: Step
      readonly count: number
      readonly afterMs: number
    }
  /** So long after the n-th finished file has appeared at the server. */
  | { readonly type: 'file'; readonly count: number; readonly afterMs: number }

/** What becomes of the server while senders are killed. */
export type ServerFate = 'stays' | 'dies-first' | 'dies-with-them'

/** How items are sent; as JSON takes it. */
export interface SendingPlan {
  readonly protocol: 'indexedcp' | 'tus' | 'ietf'
  readonly chunkBytes?: number
  readonly parallel?: number
  readonly checksum: boolean
  readonly keepAcknowledged: boolean
  readonly limitBytesPerSecond?: number
}

/** One life of a sender; as JSON takes it. */
export interface SenderPlan {
  readonly seed: number
  /** Tells its items from those of all other lives. */
  readonly mark: string
  readonly outboxPath: string
  /** Where it writes files that it refers to, or reads from. */
  readonly sourceFolder: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly sending: SendingPlan
  /** Items at once. */
  readonly files: number
  readonly mostItems: number
  readonly mostBytes: number
  /** How wrong its clock is: one after the other, for a tenth of a second each. */
  readonly skewsMs: readonly number[]
  readonly kill: Moment | undefined
}

/** One round: a life of each sender, which all end by a kill. */
export interface RoundPlan {
  readonly senders: readonly {
    readonly seed: number
    readonly kill: Moment
    readonly adds: boolean
    readonly files: number
    readonly sending: SendingPlan
    readonly skewsMs: readonly number[]
  }[]
  readonly server: ServerFate
  /** So long after the start of the round, where it dies first. */
  readonly serverDiesAfterMs: number
  /** How wrong the server's clock is, should it start in this round. */
  readonly serverSkewMs: number
  readonly ack: 'durable' | 'written'
}

/** Less than half of what a server keeps an unfinished upload: a jump must not end it. */
const MAX_SERVER_SKEW_MS = 3 * 86_400_000
const MAX_SENDER_SKEW_MS = 4000 * 86_400_000
/** About what a start takes. */
const MAX_STARTING_MS = 600
const LIFE_MS = 1000
const STEPS = ['adding', 'added', 'sending', 'noting', 'noted', 'answered', 'done'] as const
const MAX_COUNT = 5
const MAX_AFTER_MS = 60
/** What lies between the last byte at the server and the last word of the sender. */
const ANSWER_MS = 4

/** Draws a round. */
export function planRound(
  random: Random,
  { mode, hasJumps }: { readonly mode: Mode; readonly hasJumps: boolean },
): RoundPlan {
  const count = random() < 0.5 ? 2 : 1
  return {
    senders: Array.from({ length: count }, (_, index) => ({
      seed: Math.floor(random() * 1e9),
      kill: drawMoment(random),
      adds: index === 0 || random() < 0.5,
      files: 1 + Math.floor(random() * 3),
      sending: planSending(random, mode),
      skewsMs: hasJumps
        ? [0, 1, 2].map(() => Math.round(between(random, -MAX_SENDER_SKEW_MS, MAX_SENDER_SKEW_MS)))
        : [0],
    })),
    server: draw(random, ['stays', 'stays', 'dies-first', 'dies-with-them', 'dies-with-them']),
    serverDiesAfterMs: between(random, 0, LIFE_MS),
    serverSkewMs: hasJumps
      ? Math.round(between(random, -MAX_SERVER_SKEW_MS, MAX_SERVER_SKEW_MS))
      : 0,
    ack: draw(random, ['durable', 'durable', 'written']),
  }
}

/** Draws how a sender sends; another life may do it otherwise. */
export function planSending(random: Random, mode: Mode): SendingPlan {
  const shared = {
    checksum: random() < 0.4,
    keepAcknowledged: random() < 0.6,
    // So slow that kills meet uploads in between.
    ...(random() < 0.6 ? { limitBytesPerSecond: Math.round(between(random, 1e6, 2e7)) } : {}),
  }
  const chunkBytes = Math.round(between(random, 20_000, 1_000_000))
  switch (mode) {
    case 'indexedcp':
      return { protocol: mode, chunkBytes, parallel: 1 + Math.floor(random() * 5), ...shared }
    case 'tus-parallel':
      return { protocol: 'tus', parallel: 2 + Math.floor(random() * 4), ...shared }
    case 'tus':
    case 'ietf':
      return { protocol: mode, ...(random() < 0.4 ? { chunkBytes } : {}), ...shared }
  }
}

function drawMoment(random: Random): Moment {
  const kind = random()
  if (kind < 0.08) return { type: 'starting', afterMs: between(random, 0, MAX_STARTING_MS) }
  if (kind < 0.3) {
    return { type: 'step', step: 'ready', count: 1, afterMs: between(random, 0, LIFE_MS) }
  }
  const count = 1 + Math.floor(random() * MAX_COUNT)
  if (kind < 0.6) {
    return { type: 'file', count, afterMs: random() < 0.5 ? 0 : between(random, 0, ANSWER_MS) }
  }
  const afterMs = random() < 0.5 ? 0 : between(random, 0, MAX_AFTER_MS)
  return { type: 'step', step: draw(random, STEPS), count, afterMs }
}
