import { HttpUrl } from 'ferry/transport'
import type { UploadResult } from 'ferry/upload'
import { expect, test } from 'vitest'
import { SendOrder } from './send-order.ts'
import type { SendJob } from './send-run.ts'

const FAILURE = new Error('Cannot send it')

/** Begins jobs in order; gives the names of those that have begun, each time after one more has ended. */
async function begun(
  order: SendOrder,
  places: readonly (readonly [name: string, url: string])[],
): Promise<string[][]> {
  const started: string[] = []
  const ends: (() => void)[] = []
  const seen: string[][] = []
  const runs = places.map(([name, url], index) => {
    const ended = new Promise<void>((resolve) => (ends[index] = resolve))
    const job: SendJob = {
      name,
      url: HttpUrl.parse(url),
      goOn: '',
      send: async (): Promise<UploadResult> => {
        started.push(name)
        await ended
        throw FAILURE
      },
    }
    return order.guard(job).send({}, () => {})
  })
  for (const [index, run] of runs.entries()) {
    await new Promise(setImmediate)
    seen.push([...started])
    ends[index]?.()
    await expect(run).rejects.toBe(FAILURE)
  }
  return seen
}

test('SendOrder sends files of one name to a server of IndexedCP one after another', async () => {
  const seen = await begun(new SendOrder({}), [
    ['a/x', 'http://h/upload?k=1'],
    ['b\\x', 'http://h/upload?k=1'],
    ['y', 'http://h/upload?k=1'],
    ['x', 'http://other/upload'],
    ['x', 'http://h/upload?k=1'],
  ])

  expect(seen.slice(0, 2)).toEqual([
    ['a/x', 'y', 'x'],
    ['a/x', 'y', 'x', 'b\\x'],
  ])
  expect(seen.at(-1)).toEqual(['a/x', 'y', 'x', 'b\\x', 'x'])
})

test.each([
  [{}, 'http://h/files', 2],
  [{ protocol: 'tus' }, 'http://h/upload', 2],
  [{ protocol: 'indexedcp' }, 'http://h/files', 1],
] as const)('SendOrder with %j at %s lets %d go at once', async (options, url, count) => {
  const [first] = await begun(new SendOrder(options), [
    ['x', url],
    ['x', url],
  ])

  expect(first).toHaveLength(count)
})
