import { expect, test } from 'vitest'
import { HttpRequest } from '../transport/http-request.ts'
import { HttpResponse } from '../transport/http-response.ts'
import { ClientResponse } from './client-response.ts'
import { HttpCall } from './http-call.ts'

function respond(body = '{"a":1}'): ClientResponse {
  const request = new HttpRequest('GET', 'http://h/')
  const response = HttpResponse.create({ status: 200, body })
  return new ClientResponse(response, { request, attempts: 1, maxBytes: 1000 })
}

test('HttpCall is a promise of what its reader makes of the response, read once', async () => {
  let reads = 0
  const call = new HttpCall(Promise.resolve(respond()), () => ++reads)

  expect(reads).toBe(0)
  expect(await call).toBe(1)
  expect(await call).toBe(1)
  expect(await Promise.all([call, call.then((value) => value * 2)])).toEqual([1, 2])
  expect(Object.prototype.toString.call(call)).toBe('[object HttpCall]')
})

test('HttpCall reads nothing for who wants the response alone', async () => {
  const call = new HttpCall(Promise.resolve(respond()), () => expect.fail('was read'))

  expect((await call.response).status).toBe(200)
})

test('HttpCall gives content in other formats besides its own', async () => {
  const call = new HttpCall(Promise.resolve(respond()), (response) => response.json())

  expect(await call).toEqual({ a: 1 })
  expect(await call.json()).toEqual({ a: 1 })
  expect(await call.text()).toBe('{"a":1}')
  expect(await call.bytes()).toEqual(Buffer.from('{"a":1}'))
})

test('HttpCall rejects everywhere with the error of the request', async () => {
  const error = new Error('x')
  const call = new HttpCall<string>(Promise.reject(error), () => 'never')

  await expect(call).rejects.toBe(error)
  await expect(call.response).rejects.toBe(error)
  await expect(call.json()).rejects.toBe(error)
  await expect(call.text()).rejects.toBe(error)
  await expect(call.bytes()).rejects.toBe(error)
  expect(await call.catch((caught: unknown) => caught)).toBe(error)
})

test('HttpCall rejects with the error of its reader, and leaves the response', async () => {
  const error = new Error('x')
  const call = new HttpCall<string>(Promise.resolve(respond()), () => {
    throw error
  })

  await expect(call).rejects.toBe(error)
  expect((await call.response).status).toBe(200)
})

test('HttpCall.finally() runs at either end', async () => {
  const ends: string[] = []
  const good = new HttpCall(Promise.resolve(respond()), () => 'value')
  const bad = new HttpCall<string>(Promise.reject(new Error('x')), () => 'never')

  expect(await good.finally(() => void ends.push('good'))).toBe('value')
  await expect(bad.finally(() => void ends.push('bad'))).rejects.toThrow('x')
  expect(ends).toEqual(['good', 'bad'])
})

test('HttpCall leaves no rejection unhandled once somebody has looked at either side', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const fail = (): HttpCall<string> => {
    return new HttpCall<string>(Promise.reject(new Error('x')), () => 'never')
  }

  await fail().catch(() => {})
  await fail().response.catch(() => {})
  await fail().then(undefined, () => {})
  await fail()
    .text()
    .catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 10))

  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})
