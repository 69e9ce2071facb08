import { expect, test } from 'vitest'
import { HttpStatusError, StreamError } from '../errors.ts'
import { toClientError } from './client-errors.ts'

function refusal(status: number, excerpt: string | undefined): HttpStatusError {
  const message = `Cannot send a chunk to http://h/upload: the server answered ${status}`
  return new HttpStatusError(message, { status, statusText: 'X', headers: [['a', 'b']], excerpt })
}

test.each([
  [500, '{"error":"Upload error"}', ': Upload error'],
  [500, '<html>', ''],
  [507, undefined, ''],
  [401, '{"error":"Invalid API key"}', ': Invalid API key; check the API key'],
  [401, undefined, '; check the API key'],
  [500, 'the key s3cret is wrong', ''],
])('toClientError() has the words of a server that answers %i with %j', (status, text, end) => {
  const error = refusal(status, text)
  const told = toClientError(error, 's3cret') as HttpStatusError

  expect(told.message).toBe(`${error.message}${end}`)
  expect(told).toMatchObject({ status, statusText: 'X', excerpt: text, code: 'http-status' })
  expect([...told.headers]).toEqual([['a', 'b']])
})

test('toClientError() leaves other errors as they are', () => {
  const error = new StreamError('Cannot go on')

  expect(toClientError(error, undefined)).toBe(error)
  expect(toClientError('text', undefined)).toBe('text')
})
