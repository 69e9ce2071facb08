import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { onAbort } from './on-abort.ts'

test('onAbort() calls everybody who has not let go, in their order', () => {
  const controller = new AbortController()
  const calls: string[] = []
  onAbort(controller.signal, () => calls.push('a'))
  const end = onAbort(controller.signal, () => calls.push('b'))
  const same = (): void => void calls.push('c')
  onAbort(controller.signal, same)
  const endOne = onAbort(controller.signal, same)

  end()
  end()
  endOne()
  controller.abort()

  expect(calls).toEqual(['a', 'c'])
})

test('onAbort() has one listener, and none without callbacks', () => {
  const { signal } = new AbortController()
  const ends = [0, 1, 2].map(() => onAbort(signal, () => {}))

  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  for (const end of ends) end()
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  onAbort(signal, () => {})
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
})

test('onAbort() calls the others when one lets another go, or throws', async () => {
  const controller = new AbortController()
  const calls: string[] = []
  const uncaught = Promise.withResolvers<unknown>()
  process.once('uncaughtException', uncaught.resolve)
  onAbort(controller.signal, () => {
    end()
    throw new Error('of a callback')
  })
  const end = onAbort(controller.signal, () => calls.push('let go'))
  onAbort(controller.signal, () => calls.push('last'))

  controller.abort()

  expect(calls).toEqual(['last'])
  await expect(uncaught.promise).resolves.toMatchObject({ message: 'of a callback' })
})

test('onAbort() calls nobody who comes while the signal aborts', () => {
  const controller = new AbortController()
  const { signal } = controller
  let calls = 0
  const listen = (): void => {
    calls++
    if (calls < 10) onAbort(signal, listen)
  }
  onAbort(signal, listen)

  controller.abort()

  expect(calls).toBe(1)
})
