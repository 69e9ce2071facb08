/** Numbers as people read them, and back. */
import { ConfigError } from 'ferry/errors'
import prettyBytes from 'pretty-bytes'

/** `1.05 GiB` */
export function formatBytes(bytes: number): string {
  return prettyBytes(bytes, {
    binary: true,
    minimumFractionDigits: 0,
    maximumFractionDigits: bytes < 1024 ? 0 : 2,
  })
}

/** `12.3 MiB/s` */
export function formatSpeed(bytesPerSecond: number): string {
  return `${prettyBytes(bytesPerSecond, { binary: true, maximumFractionDigits: 1 })}/s`
}

/** `0.8 s`, `42 s`, `3 min 05 s`, `2 h 10 min` */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/**
 * Reads a rate as curl and aria2 take it: `500K`, `2M`, `1.5M`; powers of 1024.
 * @throws {ConfigError} when it is not a number above 0
 */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text)
  const rate = Math.floor(
    Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN),
  )
  if (rate >= 1) return rate
  throw new ConfigError(
    'limit-rate',
    `Cannot limit the rate to ${JSON.stringify(text)}: expected bytes per second, like 500K or 2M`,
  )
}
