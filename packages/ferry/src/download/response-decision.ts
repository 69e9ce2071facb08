/**
 * Decides what a response to a request for (part of) the file means: a pure function. Nothing of a
 * response reaches the disk before it has passed here.
 */
import { type ErrorDetail, TransferError } from '../errors.ts'
import { parseContentRange, parseUnsatisfiedRange } from '../protocol/semantics/content-range.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Span } from '../transfer/span.ts'
import { describeChange, type Identity, identityOf } from './identity.ts'

/** What was asked for. */
export interface Asked {
  readonly url: string
  /** The range asked for; undefined for the whole. */
  readonly range: Span | undefined
  /** The request carried If-Range. */
  readonly conditional: boolean
  /** The version that the bytes must belong to; undefined when this is the first response. */
  readonly identity: Identity | undefined
  /** The finished file is compared with a digest. */
  readonly isProvable: boolean
}

/** What came. */
export interface Answer {
  readonly status: number
  readonly headers: HeaderFields
  /** Length of the content as framed; undefined when it is not known before its end. */
  readonly length: number | undefined
}

/**
 * content: bytes of the version, from `start`; up to `end` where known ·
 * whole: the same, but the server has ignored the range asked for ·
 * unconditional: ask again without If-Range, which this server gets wrong ·
 * changed: another version is there now · refused: an error status · broken: an answer that must not
 * be used
 */
export type Decision =
  | {
      readonly type: 'content' | 'whole'
      readonly start: number
      readonly end: number | undefined
      readonly identity: Identity
    }
  | { readonly type: 'unconditional' }
  | { readonly type: 'changed'; readonly error: TransferError }
  | { readonly type: 'refused' }
  | { readonly type: 'broken'; readonly error: TransferError }

/** Decides what to do with a response. */
export function decideResponse(asked: Asked, answer: Answer): Decision {
  const { status, headers } = answer
  if (status === 416 && asked.range !== undefined) return decideUnsatisfied(asked, answer)
  if (status !== 200 && status !== 206) return { type: 'refused' }
  const coding = headers.get('content-encoding')
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    return broken(asked, `its content is coded as ${coding}, although only identity was accepted`, {
      contentCoding: coding,
    })
  }
  return status === 206 ? decidePartial(asked, answer) : decideWhole(asked, answer)
}

function decidePartial(asked: Asked, answer: Answer): Decision {
  const { range, identity } = asked
  const text = answer.headers.get('content-range')
  if (range === undefined) return broken(asked, 'it sent a part although the whole was asked for')
  const got = text === undefined ? undefined : parseContentRange(text)
  if (got === undefined) {
    return broken(asked, `it sent a part without saying which (Content-Range: ${text ?? 'none'})`)
  }
  const end = got.last + 1
  if (got.first !== range.start || end > range.end) {
    return broken(
      asked,
      `it sent bytes ${got.first}-${got.last} when ${range.start}-${range.end - 1} were asked for`,
    )
  }
  if (answer.length !== undefined && answer.length !== end - got.first) {
    return broken(
      asked,
      `its Content-Length ${answer.length} contradicts its Content-Range ${text}`,
    )
  }
  const change =
    identity && describeChange(identity, answer.headers, got.complete, asked.isProvable)
  if (change !== undefined) return changed(asked, change)
  return {
    type: 'content',
    start: got.first,
    end,
    identity: identity ?? identityOf(answer.headers, got.complete),
  }
}

function decideWhole(asked: Asked, answer: Answer): Decision {
  const { range, identity, conditional } = asked
  const change =
    identity && describeChange(identity, answer.headers, answer.length, asked.isProvable)
  if (change !== undefined) return changed(asked, change)
  // The version is the same, so If-Range had no reason to be false: some caches always say so.
  if (range !== undefined && conditional) return { type: 'unconditional' }
  return {
    type: range === undefined ? 'content' : 'whole',
    start: 0,
    // Without a length of its own the response has to be as long as the version.
    end: answer.length ?? identity?.size,
    identity: identity ?? identityOf(answer.headers, answer.length),
  }
}

/** 416: our range lies beyond what is there now, so it is not what was there before. */
function decideUnsatisfied(asked: Asked, answer: Answer): Decision {
  const text = answer.headers.get('content-range')
  const complete = text === undefined ? undefined : parseUnsatisfiedRange(text)?.complete
  if (asked.identity?.size !== undefined && complete === asked.identity.size) {
    return broken(asked, `it refuses a range within its ${complete} bytes`)
  }
  return changed(asked, `it now has ${complete ?? 'fewer'} bytes`)
}

function changed(asked: Asked, what: string): Decision {
  return {
    type: 'changed',
    error: new TransferError(
      'representation-changed',
      `Cannot go on with ${asked.url}: the file at the server is another one now, ${what}`,
    ),
  }
}

function broken(asked: Asked, what: string, detail: ErrorDetail = {}): Decision {
  const message = `Cannot use the answer of ${asked.url}: ${what}`
  return { type: 'broken', error: new TransferError('range-mismatch', message, { detail }) }
}
