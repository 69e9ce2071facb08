/** What became of items, as the document of IndexedCP has it: by the names of files. Pure. */
import type { BufferedUploads, FailedFile } from './buffered-upload-error.ts'
import type { SentItem } from './item-sender.ts'

/**
 * Gathers outcomes by the names of their items. None is lost: where a name comes again its file stands
 * under `name (2)`, or the next number that is no file's name. What others are sending is in none.
 */
export function resultsByName(outcomes: readonly SentItem[]): BufferedUploads {
  const names = new Set(outcomes.map(({ item }) => item.name))
  const sent = new Map<string, string>()
  const counts = new Map<string, number>()
  const failures: FailedFile[] = []
  const untried: string[] = []
  for (const outcome of outcomes) {
    const { name } = outcome.item
    switch (outcome.type) {
      case 'sent':
        sent.set(freeName(name), outcome.result.remoteName ?? name)
        break
      case 'failed':
        failures.push({ name, error: outcome.error })
        break
      case 'untried':
        untried.push(name)
        break
      case 'skipped':
    }
  }
  // Unlike an assignment this takes `__proto__` for a name.
  return { sent: Object.fromEntries(sent), failures, untried }

  function freeName(name: string): string {
    if (!sent.has(name)) return name
    for (let count = counts.get(name) ?? 2; ; count++) {
      const numbered = `${name} (${count})`
      counts.set(name, count + 1)
      if (!names.has(numbered) && !sent.has(numbered)) return numbered
    }
  }
}
