/**
 * Decides how many connections a download uses: starts with one, keeps more only while they make
 * the whole faster. A pure state machine that is fed the total speed once a tick.
 *
 *     growing: 1, 3, 6, 12 … while it helps → holding: back at what helped → probing: one more → …
 *     capped: at the most that is allowed → probing, as soon as more is
 *
 * Servers that keep to a rate often send in bursts, of a second say. Silence between bursts tells that a
 * connection is held back, so that others are worth having; and speed has to be looked at for longer.
 */

/** The state; `level` is the number of connections to use now. */
export interface ConnectionCount {
  readonly level: number
  readonly phase: 'growing' | 'holding' | 'probing' | 'capped'
  /** Speed at the level that is kept; 0 at first. */
  readonly keptBytesPerSecond: number
  readonly keptLevel: number
  readonly ticks: number
  /** Sum of the samples taken at this level. */
  readonly sampledBytesPerSecond: number
}

/** One tick's facts. */
export interface CountSample {
  readonly bytesPerSecond: number
  /** The same over the last seconds. */
  readonly steadyBytesPerSecond: number
  /** How many ticks in a row, this one included, brought nothing although all was under way. */
  readonly silentTicks: number
  /** There were such ticks not long ago. */
  readonly isBursty: boolean
  /** Every connection had work; otherwise the tick says nothing. */
  readonly saturated: boolean
  /** The most connections that are allowed now. */
  readonly ceiling: number
  /** How long the rest will take at this speed. */
  readonly remainingSeconds: number
  /** Ticks that a new connection takes to get going: these mix two levels and are not counted. */
  readonly settleTicks: number
}

/** How often to feed a sample, in ms. */
export const COUNT_TICK_MS = 100
// Growing is quick, since what is missed is lost; a probe looks for less, and so has to look longer.
const SAMPLE_TICKS = { growing: 2, holding: 0, probing: 5, capped: 0 } as const
const BURSTY_SAMPLE_TICKS = 10
// One silent tick may be chance.
const MIN_SILENT_TICKS = 2
// Another connection stays only for a clear gain.
const MIN_GAIN = 1.05
// 5 s between probes: networks change slower than that.
const HOLD_TICKS = 50
// What ends sooner than this is not made faster by a connection that has yet to be opened.
const MIN_REMAINING_SECONDS = 1.25

export const INITIAL_CONNECTION_COUNT: ConnectionCount = {
  level: 1,
  phase: 'growing',
  keptBytesPerSecond: 0,
  keptLevel: 0,
  // There was no other level before whose bytes could be mixed in.
  ticks: 1,
  sampledBytesPerSecond: 0,
}

/** The state after one tick. */
export function nextConnectionCount(count: ConnectionCount, sample: CountSample): ConnectionCount {
  if (count.level > sample.ceiling) return cap(count, sample.ceiling, 0)
  if (!sample.saturated) return count
  const ticks = count.ticks + 1
  const endsSoon = sample.remainingSeconds < MIN_REMAINING_SECONDS
  if (count.phase === 'capped' && count.level < sample.ceiling && !endsSoon) {
    return start(count, 'probing', count.level + 1, sample)
  }
  if (count.phase === 'holding' || count.phase === 'capped') {
    return ticks >= HOLD_TICKS && !endsSoon
      ? start(count, 'probing', count.level + 1, sample)
      : { ...count, ticks }
  }
  const isHeldBack = sample.silentTicks >= MIN_SILENT_TICKS && count.level < sample.ceiling
  if (count.phase === 'growing' && isHeldBack) {
    // What was measured before was a burst.
    return start({ ...count, keptBytesPerSecond: 0 }, 'growing', nextLevel(count), sample)
  }
  const sampleTicks = sample.isBursty ? BURSTY_SAMPLE_TICKS : SAMPLE_TICKS[count.phase]
  const { settleTicks } = sample
  const sampled = ticks > settleTicks ? count.sampledBytesPerSecond + sample.bytesPerSecond : 0
  if (ticks < settleTicks + sampleTicks) {
    return { ...count, ticks, sampledBytesPerSecond: sampled }
  }
  if (endsSoon) return { ...count, ticks: settleTicks, sampledBytesPerSecond: 0 }
  return judge(count, sampled / sampleTicks, sample)
}

function judge(
  count: ConnectionCount,
  bytesPerSecond: number,
  sample: CountSample,
): ConnectionCount {
  const helped = bytesPerSecond >= count.keptBytesPerSecond * MIN_GAIN
  if (!helped) return hold(count, count.keptLevel, count.keptBytesPerSecond)
  const kept = { ...count, keptLevel: count.level, keptBytesPerSecond: bytesPerSecond }
  if (count.level >= sample.ceiling) return cap(kept, count.level, bytesPerSecond)
  return start(kept, count.phase, nextLevel(count), sample)
}

/** Two more at first: a single one more would say nothing if that one happened to be slow. */
function nextLevel({ phase, level }: ConnectionCount): number {
  if (phase !== 'growing') return level + 1
  return level === 1 ? 3 : level * 2
}

function start(
  count: ConnectionCount,
  phase: ConnectionCount['phase'],
  level: number,
  { ceiling, steadyBytesPerSecond }: CountSample,
): ConnectionCount {
  const bounded = Math.min(level, ceiling)
  if (bounded === count.level) return hold(count, bounded, count.keptBytesPerSecond)
  // A probe is compared with the speed of now, not with that of five seconds ago.
  const kept =
    phase === 'probing' ? { keptLevel: count.level, keptBytesPerSecond: steadyBytesPerSecond } : {}
  return { ...count, ...kept, phase, level: bounded, ticks: 0, sampledBytesPerSecond: 0 }
}

function cap(count: ConnectionCount, level: number, bytesPerSecond: number): ConnectionCount {
  return { ...hold(count, level, bytesPerSecond), phase: 'capped' }
}

function hold(count: ConnectionCount, level: number, bytesPerSecond: number): ConnectionCount {
  return {
    ...count,
    phase: 'holding',
    level: Math.max(1, level),
    keptLevel: Math.max(1, level),
    keptBytesPerSecond: bytesPerSecond,
    ticks: 0,
    sampledBytesPerSecond: 0,
  }
}
