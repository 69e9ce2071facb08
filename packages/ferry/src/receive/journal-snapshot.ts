/**
 * The shortest journal that tells the same of an upload: what a journal is written anew with when it
 * has grown long. Pure: facts in, records out.
 */
import type { Span } from '../transfer/span.ts'
import { formatHeader, toPairs, type UploadFacts, type UploadRecord } from './upload-record.ts'

/**
 * The records of which a reader makes the same facts, header first.
 * @param boot tells this start of the system from others
 */
export function snapshotOf(facts: UploadFacts, boot: string): [object, ...UploadRecord[]] {
  const { header, pieceEnds, completed, activeAt } = facts
  const synced = [...facts.spans].flatMap((span) => facts.unsynced.gapsWithin(span))
  return [
    formatHeader(header),
    ...when(pieceEnds.length > 0, { type: 'pieces', ends: pieceEnds }),
    ...spansRecord(synced, activeAt),
    ...spansRecord([...facts.unsynced], activeAt, boot),
    ...when(facts.length !== header.length, { type: 'length', length: facts.length as number }),
    ...(facts.digest === undefined ? [] : [{ type: 'digest' as const, digest: facts.digest }]),
    ...named('exposed', facts.exposedAs),
    ...when(facts.isTold, { type: 'told' }),
    ...when(facts.isUsed, { type: 'used', at: activeAt }),
    ...when(facts.isLost, { type: 'lost' }),
    ...named('publishing', facts.publishingAs),
    ...(completed === undefined ? [] : [{ type: 'completed' as const, ...completed }]),
    ...when(facts.isAnnounced, { type: 'announced' }),
    ...when(facts.isRemoved, { type: 'removed' }),
  ]
}

function when(isTrue: boolean, record: UploadRecord): UploadRecord[] {
  return isTrue ? [record] : []
}

function named(type: 'exposed' | 'publishing', name: string | undefined): UploadRecord[] {
  return name === undefined ? [] : [{ type, name }]
}

function spansRecord(spans: readonly Span[], at: number, boot?: string): UploadRecord[] {
  const bound = boot === undefined ? {} : { boot }
  return spans.length === 0 ? [] : [{ type: 'spans', spans: toPairs(spans), at, ...bound }]
}
