import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import { readStreamToBytes, streamToList } from './read-stream.ts'

test('streamToList() gives the pieces as they came, without using their memory', async () => {
  const memory = Buffer.alloc(2)
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const text of ['ab', 'cd']) {
      await Promise.resolve()
      memory.write(text)
      yield memory
    }
  }

  expect((await streamToList(source())).map(String)).toEqual(['ab', 'cd'])
})

test('readStreamToBytes() gives nothing of an empty stream', async () => {
  expect(await readStreamToBytes([])).toEqual(Buffer.alloc(0))
  expect(await streamToList('')).toEqual([])
})

test.each([
  [5, true],
  [4, false],
  [0, false],
])('readStreamToBytes() with maxBytes %s takes 5 bytes: %s', async (maxBytes, taken) => {
  const read = readStreamToBytes([Buffer.from('he'), Buffer.from('llo')], { maxBytes })

  await (taken
    ? expect(read).resolves.toEqual(Buffer.from('hello'))
    : expect(read).rejects.toThrow(StreamError))
})
