/** The queue of a watched folder, against a server that lets nobody in for a while. */
import { expect, test } from 'vitest'
import { type WatchedItem, WatchQueue } from '../../packages/cli/src/outbox-watch-queue.ts'
import { createReporter } from '../../packages/cli/src/reporter.ts'
import { SendOrder } from '../../packages/cli/src/send-order.ts'
import { SendSettings } from '../../packages/cli/src/send-settings.ts'
import { UPLOADS } from '../../packages/cli/src/send-task.ts'
import { HttpUrl } from '../../packages/ferry/src/transport/http-url.ts'
import { addContent, createMemoryOutbox } from '../../packages/ferry/src/upload/index.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { type JsonEvent, parseEvents } from '../support/run-ferry.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const FILES_AT_ONCE = 3

/** How many others were under way when each was begun. */
function triedAtOnce(events: readonly JsonEvent[]): number[] {
  const running = new Set<unknown>()
  const counts: number[] = []
  for (const { event, item, state } of events) {
    if (event === 'started') {
      counts.push(running.size)
      running.add(item)
    } else if (state === 'failed') running.delete(item)
  }
  return counts
}

test('WatchQueue tries one file until the server takes it, then sends all', async () => {
  await using server = await OldServer.openNode1()
  server.refusals.push(...Array.from({ length: FILES_AT_ONCE + 2 }, () => 401))
  await using outbox = createMemoryOutbox()
  const items: WatchedItem[] = []
  for (const name of NAMES) {
    const { id } = await addContent(outbox, name, name)
    items.push({ id, name, path: `/nowhere/${name}`, identity: '' })
  }
  const options = {
    protocol: 'indexedcp',
    onDoubt: 'stop',
    files: FILES_AT_ONCE,
    retries: 3,
    timeout: 60,
    header: [`Authorization: Bearer ${server.key}`],
  } as const
  const ending = new AbortController()
  const { signal } = ending
  await using settings = await SendSettings.open(options, {
    ...{ signal, interrupt: () => {}, hold: () => () => {} },
  })
  let told = ''
  const output = { write: (text: string) => (told += text) }
  const reporter = createReporter(
    UPLOADS,
    { json: true, quiet: false },
    { stdout: output, stderr: output },
  )
  const queue = new WatchQueue({
    ...{ outbox, url: HttpUrl.parse(server.url), order: new SendOrder(options) },
    context: { settings, reporter, signal, words: { command: 'ferry outbox watch' } },
    ...{ deletesSent: false, onChanged: () => {}, retryDelayMs: 50 },
    onError: (error) => ending.abort(error),
  })

  queue.add(items)
  await expect.poll(() => outbox.list()).toEqual([])

  ending.abort(new Error('enough'))
  expect(await queue.drain()).toBe(0)
  reporter.close()
  for (const name of NAMES) expect(server.content(name).toString()).toBe(name)
  const events = parseEvents(told)
  const before = events.slice(
    0,
    events.findIndex(({ event }) => event === 'completed'),
  )
  expect(triedAtOnce(before)).toEqual([...NAMES.slice(0, FILES_AT_ONCE).keys(), 0, 0, 0])
  // Once for those that were tried at first, and for each that was tried alone.
  expect(before.filter(({ event }) => event === 'failed').length).toBeGreaterThanOrEqual(3)
})
