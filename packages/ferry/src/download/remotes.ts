/**
 * The places that have one file: which of them a free connection asks, and which are given up. Decides
 * by what it is told; time is given.
 *
 * The first remote is the one whose version is fetched. Another one delivers only once it is known to
 * have the same content; see decisions/0014-mirrors.md.
 */
import type { HttpUrl } from '../transport/http-url.ts'
import type { Identity } from './identity.ts'
import type { Source } from './source.ts'

/** One place that has the file. */
export interface Remote {
  readonly url: HttpUrl
  /** What the journal keeps of the URL. */
  readonly source: Source
  /** Its own version of the file; undefined before its first response. */
  identity: Identity | undefined
  /** If-Range is sent: the server has not got it wrong yet. */
  conditional: boolean
  /** It has answered a range as it should. */
  rangesWork: boolean
  /** Why it is no longer asked. */
  error: Error | undefined
  /** It is left alone until then, in ms of the clock. */
  restsUntil: number
  /** Failures in a row. */
  failures: number
  /** What one connection to it brings; 0 when not known. */
  bytesPerSecond: number
}

/** A remote that has not been asked yet. */
export function createRemote(url: HttpUrl, source: Source): Remote {
  return {
    url,
    source,
    identity: undefined,
    conditional: true,
    rangesWork: false,
    error: undefined,
    restsUntil: 0,
    failures: 0,
    bytesPerSecond: 0,
  }
}

/** What the choice goes by. */
export interface RemoteFacts {
  /** In ms of the clock. */
  readonly now: number
  /** A response has told which version is fetched. */
  readonly isVersionKnown: boolean
  /** Whether a connection fetches from it. */
  readonly isInUse: (remote: Remote) => boolean
  /** Whether its host takes one more connection. */
  readonly isOpen: (remote: Remote) => boolean
}

/** The remote for a free connection; undefined when none can be asked now. */
export function chooseRemote(
  remotes: readonly Remote[],
  { now, isVersionKnown, isInUse, isOpen }: RemoteFacts,
): Remote | undefined {
  const usable = remotes.filter(
    (remote) => remote.error === undefined && remote.restsUntil <= now && isOpen(remote),
  )
  const [first] = usable
  // The first tells which version it is; until then no other has anything to compare with.
  if (first === undefined || !isVersionKnown) return first
  // One that is not known yet is tried by one connection, while others bring what they can.
  const untried = usable.find((remote) => remote.bytesPerSecond === 0 && !isInUse(remote))
  if (untried !== undefined) return untried
  return usable.reduce((best, remote) =>
    remote.bytesPerSecond > best.bytesPerSecond ? remote : best,
  )
}

// In a tick of 100 ms: what was seen ten seconds ago counts for a third.
const SPEED_KEPT = 0.99

/**
 * Takes over how fast the connections to a remote are. A slow one that is left over says little of
 * what a fresh one would bring, so that a better time is forgotten only slowly.
 */
export function noteSpeeds(remote: Remote, speeds: readonly number[]): void {
  const known = speeds.filter((speed) => speed > 0).sort((one, other) => one - other)
  const median = known[known.length >> 1]
  if (median === undefined) return
  remote.bytesPerSecond = Math.max(median, remote.bytesPerSecond * SPEED_KEPT)
}

/** Whether another remote than this one may still bring what is missing. */
export function hasOther(remotes: readonly Remote[], remote: Remote): boolean {
  return remotes.some((other) => other !== remote && other.error === undefined)
}
