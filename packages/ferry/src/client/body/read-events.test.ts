import { expect, test } from 'vitest'
import { RemoteProtocolError } from '../../errors.ts'
import { createResponseStream } from '../../transport/response-stream.ts'
import { readEvents, type ReadEventsOptions } from './read-events.ts'

async function toList<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function eventsOf(
  pieces: readonly Uint8Array[],
  options: ReadEventsOptions = {},
): Promise<readonly unknown[]> {
  return toList(readEvents(createResponseStream(pieces.values()), options))
}

const STREAM = Buffer.from(
  '\uFEFF: hi\nretry: 2500\n\nid: 1\nevent: grüße\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: [DONE]\n\ndata: cut',
)

test('readEvents() gives the events of a content, at every split', async () => {
  for (let at = 0; at <= STREAM.length; at++) {
    const told: unknown[] = []
    const options = {
      onRetry: (ms: number) => told.push(ms),
      onComment: (text: string) => told.push(text),
    }
    const events = await eventsOf([STREAM.subarray(0, at), STREAM.subarray(at)], options)

    expect(events, `at ${at}`).toEqual([
      { type: 'grüße', data: '{"a":\n1}', lastEventId: '1' },
      { type: 'message', data: '[DONE]', lastEventId: '1' },
    ])
    expect(told).toEqual(['hi', 2500])
  }
})

test('readEvents() begins with the id that it is given', async () => {
  const events = await eventsOf([Buffer.from('data: a\n\n')], { lastEventId: '7' })

  expect(events).toEqual([{ type: 'message', data: 'a', lastEventId: '7' }])
})

test.each([
  ['data: ok\n\ndata: 123456789012345678901234567890\n\ndata: no\n\n'],
  ['data: ok\n\ndata: 123456789012345678901234567890'],
])('readEvents() gives what came before an event that is too large: %j', async (text) => {
  const options = { maxEventBytes: 20, what: 'GET http://h/x' }
  const seen: string[] = []
  const reading = (async () => {
    const body = createResponseStream(text)
    for await (const { data } of readEvents(body, options)) seen.push(data)
  })()

  await expect(reading).rejects.toThrow(RemoteProtocolError)
  await expect(reading).rejects.toThrow(
    'Cannot read the events of GET http://h/x: one is larger than 20 characters',
  )
  expect(seen).toEqual(['ok'])
})

test('readEvents() gives up the body when it is left', async () => {
  let closed = false
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield await Promise.resolve(Buffer.from('data: a\n\ndata: b\n\n'))
    } finally {
      closed = true
    }
  }

  for await (const { data } of readEvents(createResponseStream(pieces()))) {
    expect(data).toBe('a')
    break
  }

  await expect.poll(() => closed).toBe(true)
})
