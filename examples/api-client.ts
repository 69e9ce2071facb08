/** An API in a class of its own, on a client that it owns. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { HttpClient } from 'ferry/client'

interface User {
  readonly id: number
  readonly name: string
}

class ApiClient implements AsyncDisposable {
  readonly #client: HttpClient

  constructor(baseUrl: string, apiKey: string) {
    this.#client = new HttpClient({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } })
  }

  getUser(id: number): Promise<User> {
    return this.#client.get<User>(`/users/${id}`)
  }

  createUser(user: Omit<User, 'id'>): Promise<User> {
    return this.#client.post<User>('/users', { json: user })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close()
  }
}

await using server = createServer((request, response) => void answer(request, response))
await once(server.listen(0, '127.0.0.1'), 'listening')

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  const name = body === '' ? 'Ann' : (JSON.parse(body) as { name: string }).name
  const id = Number(request.url?.split('/')[2] ?? 2)
  response.end(JSON.stringify(request.headers.authorization === 'Bearer key' ? { id, name } : {}))
}

await using api = new ApiClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'key')

console.log(await api.getUser(1))
console.log(await api.createUser({ name: 'Ben' }))
