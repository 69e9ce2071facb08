/** What uploads look like that are on their way: lines of text from values; pure. */
import { formatBytes, formatSpeed } from './format.ts'
import { renderList, renderNumbers, type ShownTransfer } from './progress-view.ts'
import type { ShownUpload } from './receive-book.ts'
import { nameOf } from './receive-words.ts'
import { printable } from './terminal-text.ts'

/** The lines of a terminal; none when nothing is on its way. */
export function renderRunning(
  running: readonly ShownUpload[],
  arrived: { readonly count: number; readonly bytes: number },
  size: { readonly columns: number; readonly rows: number },
): string[] {
  if (running.length === 0) return []
  const before =
    arrived.count === 0 ? '' : `; ${arrived.count} received before, ${formatBytes(arrived.bytes)}`
  const shown = running.map((upload) => toShown(upload))
  return renderList(shown, `${renderTotal(running)}${before}`, size)
}

/** One line for logs. */
export function renderRunningLine(running: readonly ShownUpload[]): string {
  const [only] = running
  if (only === undefined || running.length > 1) return renderTotal(running)
  const { name, progress } = toShown(only)
  return `${name}: ${renderNumbers(progress)}`
}

function renderTotal(running: readonly ShownUpload[]): string {
  const speed = running.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0)
  return `${running.length} on the way, ${formatSpeed(speed)}`
}

function toShown({ upload, receivedBytes, bytesPerSecond }: ShownUpload): ShownTransfer {
  return {
    name: printable(nameOf(upload)),
    progress: {
      state: 'running',
      size: upload.length,
      receivedBytes,
      bytesPerSecond,
      connections: [],
    },
  }
}
