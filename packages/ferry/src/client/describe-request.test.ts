/** What a client writes into errors of which somebody else has made the words. */
import { expect, test } from 'vitest'
import { NetworkError, StreamError } from '../errors.ts'

const REQUEST = { method: 'GET', url: 'http://h/a', attempts: 1 }

test.each([
  ['Cannot connect to h:80: refused', 'cannot connect to h:80: refused'],
  ['Cannot finish GET http://h/a: reset', 'cannot finish: reset'],
  ['Cannot read the response to GET http://h/a: no head', 'cannot read the response: no head'],
  ['Cannot read the JSON of GET http://h/a (text): x', 'cannot read the JSON (text): x'],
  ['Cannot read on from GET http://h/a: nothing', 'cannot read on: nothing'],
  ['Cannot go on: the client was closed', 'the client was closed'],
  ['Cannot finish GET http://h/ab: reset', 'cannot finish GET http://h/ab: reset'],
])('NetworkError.describe() puts the request in front of %j, once', (message, expected) => {
  const error = new StreamError(message).describe(REQUEST)

  expect(error.message).toBe(`Cannot GET http://h/a: ${expected}`)
})

test('NetworkError.describe() leaves what names a request already, perhaps another', () => {
  const error = new NetworkError('connection-lost', 'Cannot POST http://h/b: 404').describe(REQUEST)

  expect(error.message).toBe('Cannot POST http://h/b: 404')
})

test('NetworkError.describe() knows methods of every spelling', () => {
  const message = 'Cannot M-Search http://h/a: not done within 5 ms'
  const error = new StreamError(message).describe({ ...REQUEST, method: 'M-Search' })

  expect(error.message).toBe(message)
})

test('NetworkError.describe() counts once', () => {
  const error = new StreamError('Cannot x').describe(REQUEST, { words: ', twice' })
  error.describe({ method: 'PUT', url: 'http://h/b', attempts: 9 }, { words: ', again' })

  expect(error).toMatchObject({ message: 'Cannot GET http://h/a: cannot x, twice', attempts: 1 })
})
