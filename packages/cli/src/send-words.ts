/** What happens to uploads, in words for people. Pure. */
import { HttpUrl } from 'ferry/transport'
import type { UploadEvent, UploadProgress, UploadResult } from 'ferry/upload'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import type { ShownProgress } from './progress-view.ts'

/** A line about an event; undefined for what a display shows anyway. */
export function describeSendEvent(event: UploadEvent): string | undefined {
  switch (event.type) {
    case 'retry':
      return `${event.error.message}; trying again in ${formatDuration(event.delayMs)} (try ${event.attempt + 1})`
    case 'restart':
      return `${event.error.message}; starting again from its beginning`
    case 'rewound':
      return `The server has only ${formatBytes(event.to)} of the ${formatBytes(event.from)} that it had said it has; sending the rest again`
    case 'no-status':
      return 'The server cannot tell what it has: a break in the middle of a chunk may leave the file there in doubt'
    case 'doubt':
      return `Bytes ${event.span.start} to ${event.span.end} are sent again, and may be in the file at the server twice`
    case 'state':
    case 'protocol':
    case 'credentials':
      return undefined
  }
}

/** A line about what was delivered to `url`. */
export function describeDelivery(result: UploadResult, url: string): string {
  const { name, remoteName, uploadUrl, size, elapsedMs, resumedBytes } = result
  const speed = elapsedMs > 0 ? ` (${formatSpeed(((size - resumedBytes) * 1000) / elapsedMs)})` : ''
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} were there already` : ''
  const as = remoteName === undefined ? '' : ` as ${remoteName}`
  const place = HttpUrl.parse(uploadUrl ?? url).label
  return `${name}: ${formatBytes(size)} in ${formatDuration(elapsedMs)}${speed}${resumed}, at ${place}${as}`
}

/** How far an upload is, as it is shown. */
export function toShown(progress: UploadProgress): ShownProgress {
  const { size, sentBytes, bytesPerSecond } = progress
  return { state: stateOf(progress), size, receivedBytes: sentBytes, bytesPerSecond }
}

function stateOf({ state, size, sentBytes, acknowledgedBytes }: UploadProgress): string {
  const isSent = size !== undefined && sentBytes >= size
  return state === 'running' && isSent && acknowledgedBytes < size ? 'answering' : state
}
