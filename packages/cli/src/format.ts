/** Numbers as people read them, and back. */
import { ConfigError } from 'ferry/errors'

// Not by a package: those that format sizes go through Intl, whose first use takes 40 ms.
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.05 GiB`, `707 B` */
export function formatBytes(bytes: number): string {
  return formatSize(bytes, 2)
}

/** `12.3 MiB/s` */
export function formatSpeed(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond, 1)}/s`
}

function formatSize(bytes: number, fractionDigits: number): string {
  let amount = bytes
  let unit = 0
  // 1023.999 would be rounded to 1024 of a unit instead of 1 of the next.
  while (amount >= 1023.995 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  const digits = unit === 0 ? 0 : fractionDigits
  return `${Number(amount.toFixed(digits))} ${BYTE_UNITS[unit]}`
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

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
}

/**
 * Reads bytes, or bytes per second, of an option as curl and aria2 take them: `500K`, `2M`, `1.5G`;
 * powers of 1024. Undefined when the option was not given.
 * @throws {ConfigError} when it is not a number above 0
 */
export function parseSize(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(text)
  const bytes = Math.floor(
    Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN),
  )
  if (bytes >= 1) return bytes
  throw new ConfigError(
    option,
    `Cannot use ${JSON.stringify(text)} for --${option}: expected bytes, like 500K or 2M`,
  )
}
