/** What happens to downloads, in words for people. Pure. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'

/** A line about an event; undefined for what a display shows anyway. */
export function describeEvent(event: DownloadEvent): string | undefined {
  switch (event.type) {
    case 'restart':
      return `${event.error.message}; starting again from its beginning`
    case 'retry':
      return `${event.error.message}; trying again in ${formatDuration(event.delayMs)} (try ${event.attempt + 1})`
    case 'mirror-dropped':
      return `${event.error.message}; going on without it`
    case 'bad-piece':
      return `${event.error.message}; fetching them again`
    case 'named':
    case 'state':
      return undefined
  }
}

/** A line about what has come of a download. */
export function describeResult(result: DownloadResult): string {
  const { outcome, path, size, elapsedMs, fetchedBytes, resumedBytes, checksum } = result
  if (outcome === 'skipped') return `${path}: skipped, since it is there already`
  if (outcome === 'not-modified') return `${path}: left as it is, the server has nothing newer`
  const speed = elapsedMs > 0 ? ` (${formatSpeed((fetchedBytes * 1000) / elapsedMs)})` : ''
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} were here already` : ''
  const checked = checksum === undefined ? '' : `, ${checksum.algorithm} is right`
  return `${path}: ${formatBytes(size)} in ${formatDuration(elapsedMs)}${speed}${resumed}${checked}`
}

/** What the user should know of a file that is here; undefined when nothing is doubtful. */
export function describeDoubt({ path, proof }: DownloadResult): string | undefined {
  if (proof !== 'overlap') return undefined
  return (
    `Cannot be sure of ${path}: it is made of several responses, and the server names no version of ` +
    'the file, so that only their overlaps were compared; --checksum would prove it'
  )
}
