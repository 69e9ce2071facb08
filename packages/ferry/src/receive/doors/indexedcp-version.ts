/**
 * What is known of the uploads of clients that give no identity: versions of a file, told apart by
 * who sends them, and what they contain. Decides which of them a chunk belongs to. Pure.
 */
import { lastSegmentOf } from './indexedcp-names.ts'

/** One version of one client's file. */
export interface Version {
  readonly owner: string | undefined
  /** The name as the client has it. */
  readonly clientName: string
  /** The id in the core; undefined until it is created. */
  id: string | undefined
  /** Resolves when it can be written to. */
  ready: Promise<void>
  /** The name at the server, as far as it is known. */
  storedName: string
  isExposed: boolean
  /** Where its chunks end, one behind the other. */
  readonly ends: number[]
  /** Chunks that wait for those before them. */
  readonly ahead: Map<number, AheadChunk>
  /** Chunks that are coming now; each resolves when it has come, or not. */
  readonly receiving: Map<number, Promise<void>>
  /** When the last chunk came, on the clock. */
  activeAt: number
  /** Who sent it: address and program. */
  peer: string
  /** Requests that work on it. */
  users: number
  /** The work of putting waiting chunks in their place. */
  placing: Promise<void>
}

/** A chunk that is kept as an upload of its own. */
export interface AheadChunk {
  readonly id: string
  readonly length: number
}

/** Where a chunk comes from. */
export interface ChunkSender {
  readonly owner: string | undefined
  readonly clientName: string
  readonly index: number
  readonly peer: string
  /** What chunks of one file come by: a connection, or a session. */
  readonly channel: object
}

/** For how long a version without news still counts as one that somebody is sending. */
export const SENDING_MS = 5000

/**
 * Chooses among the versions of one owner's file, oldest first, for a chunk whose connection
 * or session has sent nothing of it before.
 * @returns undefined for none of them, `ambiguous` where only a guess would be left
 */
export function chooseVersion(
  versions: readonly Version[],
  { index, peer }: Pick<ChunkSender, 'index' | 'peer'>,
  now: number,
): Version | 'ambiguous' | undefined {
  const own = versions.filter((version) => version.peer === peer)
  const known = own.length > 0 ? own : versions
  if (index > 0) {
    // Two clients that look alike: their chunks must not end up in one file.
    const waiting = known.filter(
      (version) =>
        version.ends.length === index &&
        now - version.activeAt < SENDING_MS &&
        !looksWhole(version),
    )
    if (waiting.length > 1) return 'ambiguous'
    if (waiting[0] !== undefined) return waiting[0]
  }
  return known.at(-1)
}

/** Whether its last chunk is shorter than the first, as that of a whole file mostly is. */
export function looksWhole({ ends, ahead }: Version): boolean {
  const [first = 0] = ends
  return ends.length > 1 && ahead.size === 0 && lengthOfChunk(ends, ends.length - 1) < first
}

export function startOfChunk(ends: readonly number[], index: number): number {
  return index === 0 ? 0 : (ends[index - 1] as number)
}

export function lengthOfChunk(ends: readonly number[], index: number): number {
  return (ends[index] as number) - startOfChunk(ends, index)
}

/** Indices of all chunks that are there. */
export function receivedIndices({ ends, ahead }: Version): number[] {
  return [...ends.keys(), ...[...ahead.keys()].toSorted((a, b) => a - b)]
}

/** Whether a status query by this name means it: the stored name, the client's, or its last segment. */
export function hasName(
  { storedName, clientName }: Pick<Version, 'storedName' | 'clientName'>,
  name: string,
): boolean {
  return storedName === name || clientName === name || lastSegmentOf(clientName) === name
}
