/** What the compiler knows of the results: checked by `tsc`; nothing is sent. */
import { expect, expectTypeOf, test } from 'vitest'
import type { ResponseBody } from '../transport/response-body.ts'
import type { ClientResponse } from './client-response.ts'
import type { HttpCall } from './http-call.ts'
import { HttpClient } from './http-client.ts'

interface User {
  readonly name: string
}

/** Type-checked, never called. */
export function checkResults(client: HttpClient, texts: HttpClient<'text'>): void {
  expectTypeOf(client.get('/')).toEqualTypeOf<HttpCall<unknown>>()
  expectTypeOf(client.get<User>('/')).toEqualTypeOf<HttpCall<User>>()
  expectTypeOf(client.post<User>('/', { json: {} })).toEqualTypeOf<HttpCall<User>>()
  expectTypeOf(client.get('/', { responseFormat: 'text' })).toEqualTypeOf<HttpCall<string>>()
  expectTypeOf(client.get('/', { responseFormat: 'bytes' })).toEqualTypeOf<HttpCall<Buffer>>()
  expectTypeOf(client.get('/', { responseFormat: 'stream' })).toEqualTypeOf<
    HttpCall<ResponseBody>
  >()
  expectTypeOf(client.get('/', { responseFormat: 'response' })).toEqualTypeOf<
    HttpCall<ClientResponse>
  >()
  expectTypeOf(client.head('/')).toEqualTypeOf<HttpCall<ClientResponse>>()
  expectTypeOf(client.stream('GET', '/')).toEqualTypeOf<HttpCall<ClientResponse>>()
  expectTypeOf(texts.get('/')).toEqualTypeOf<HttpCall<string>>()
  expectTypeOf(texts.put('/', { responseFormat: 'json' })).toEqualTypeOf<HttpCall<unknown>>()
  expectTypeOf(client.get<User>('/', { responseFormat: 'json' })).toEqualTypeOf<HttpCall<User>>()
  expectTypeOf(texts.get<User>('/', { responseFormat: 'json' })).toEqualTypeOf<HttpCall<User>>()
  expectTypeOf(texts.request<User>('GET', '/', { responseFormat: 'json' })).toEqualTypeOf<
    HttpCall<User>
  >()
  expectTypeOf(client.get<User>('/').json<User[]>()).toEqualTypeOf<Promise<User[]>>()
  expectTypeOf(client.get('/').response).toEqualTypeOf<Promise<ClientResponse>>()
  expectTypeOf(client.extend({ responseFormat: 'bytes' })).toEqualTypeOf<HttpClient<'bytes'>>()
  expectTypeOf(texts.extend({})).toEqualTypeOf<HttpClient<'text'>>()

  // @ts-expect-error -- what is told of the content is not a promise for its members
  void client.get<User>('/').name
  // @ts-expect-error -- no such format
  void client.get('/', { responseFormat: 'xml' })
  // @ts-expect-error -- no such option
  void client.get('/', { timeout: 5 })
  // @ts-expect-error -- connections are the client's
  void client.get('/', { maxConnections: 1 })
  // @ts-expect-error -- nothing that can be sent
  void client.post('/', { body: 7 })
  // @ts-expect-error -- a number is no field
  void client.get('/', { headers: { 'X-A': 1 } })
  // @ts-expect-error -- the URL has to be there
  void client.get()
  // @ts-expect-error -- no such option of a client
  void new HttpClient({ base_url: 'http://h' })
  // @ts-expect-error -- the limit for all of it is timeoutMs
  void new HttpClient({ totalTimeoutMs: 5 })
  // @ts-expect-error -- text is not JSON
  expectTypeOf(texts.get('/')).toEqualTypeOf<HttpCall<unknown>>()
}

test('a client without options is one that gives JSON', async () => {
  await using client = new HttpClient()

  expectTypeOf(client).toEqualTypeOf<HttpClient>()
  expect(client).toBeInstanceOf(HttpClient)
})
