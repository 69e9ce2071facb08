import { execFile } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { HttpStatusError, NetworkError } from '../errors.ts'
import { del, delete as alsoDel, get, head, options, patch, post, put } from './one-call.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** A server that keeps its connections, and what it was asked. */
class TestServer implements AsyncDisposable {
  readonly asked: string[] = []
  readonly #server: Server
  #connections = 0

  private constructor(listener: Listener) {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.asked.push(`${request.method} ${request.url}`)
      request.resume()
      listener(request, response)
    })
    this.#server.on('connection', () => this.#connections++)
  }

  static async start(listener: Listener): Promise<TestServer> {
    const server = new TestServer(listener)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  /** Connections that were made in all. */
  get connections(): number {
    return this.#connections
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }
}

const methods = { get, post, put, patch, delete: del, head, options }

test.each(Object.entries(methods))(
  '%s sends its method and gives what came',
  async (name, send) => {
    await using server = await TestServer.start((_, response) => {
      response.setHeader('X-A', '1').end('{"a":1}')
    })

    const response = await send(server.url('/items'), { params: { page: 1 } })

    expect(server.asked).toEqual([`${name.toUpperCase()} /items?page=1`])
    expect([response.status, response.statusCode, response.ok]).toEqual([200, 200, true])
    expect(response.headers.get('x-a')).toBe('1')
    expect(await response.text()).toBe(name === 'head' ? '' : '{"a":1}')
  },
)

test('DELETE has two names', () => expect(alsoDel).toBe(del))

test('the content has been read: it can be had again and again, and its connection is free', async () => {
  await using server = await TestServer.start((_, response) => void response.end('{"a":1}'))

  const first = await get(server.url())
  const second = await get(server.url())

  expect(server.connections).toBe(1)
  expect(await first.json()).toEqual({ a: 1 })
  expect(await first.text()).toBe('{"a":1}')
  expect((await second.bytes()).toString()).toBe('{"a":1}')
  expect((await second.body.bytes()).toString()).toBe('{"a":1}')
})

test('a status is no error until it is asked about', async () => {
  await using server = await TestServer.start((_, response) => {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('no such item')
  })

  const response = await get(server.url())

  expect([response.status, response.ok]).toEqual([404, false])
  expect(() => response.raiseForStatus()).toThrow(HttpStatusError)
  expect(() => response.raiseForStatus()).toThrow(/404 Not Found/)
  expect(await response.text()).toBe('no such item')
  await expect(get(server.url(), { raiseForStatus: true })).rejects.toMatchObject({
    status: 404,
    excerpt: 'no such item',
  })
})

test('a redirection is followed, and a body that breaks off is asked for again', async () => {
  await using server = await TestServer.start(({ url }, response) => {
    if (url === '/') response.writeHead(302, { Location: '/there' }).end()
    else if (server.asked.length > 2) response.end('hello')
    else response.writeHead(200, { 'Content-Length': 5 }).write('he', () => response.destroy())
  })

  const response = await get(server.url(), { retryDelayMs: 1 })

  expect(await response.text()).toBe('hello')
  expect([response.attempts, response.url.href]).toEqual([2, server.url('/there')])
})

test('a POST is sent once, and says why it failed', async () => {
  await using server = await TestServer.start((_, response) => void response.destroy())

  const sending = post(server.url(), { json: { a: 1 }, retryDelayMs: 1 })

  await expect(sending).rejects.toThrow(NetworkError)
  await expect(sending).rejects.toMatchObject({ method: 'POST', attempts: 1 })
})

/** Runs a program to its own end. */
async function run(code: string, env: Record<string, string> = {}): Promise<string> {
  const module = pathToFileURL(new URL('one-call.ts', import.meta.url).pathname).href
  const program = `import * as ferry from ${JSON.stringify(module)}\n${code}`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=ferry-source', '--input-type=module', '--eval', program],
    { timeout: 20_000, env: { ...process.env, ...env } },
  )
  return stdout
}

test('a program ends by itself right after a request, with the connection still kept', async () => {
  await using server = await TestServer.start((_, response) => void response.end('hello'))

  const output = await run(`
    for (let index = 0; index < 2; index++) {
      const response = await ferry.get(${JSON.stringify(server.url())})
      console.log(response.headers.get('connection'), await response.text())
    }
    const endedAt = Date.now()
    process.on('exit', () => console.log(Date.now() - endedAt < 3000))`)

  expect(output).toBe('keep-alive hello\nkeep-alive hello\ntrue\n')
  expect(server.connections).toBe(1)
})

test('proxies are those of the environment', async () => {
  await using proxy = await TestServer.start((_, response) => void response.end('by proxy'))

  const output = await run(
    `console.log(await (await ferry.get('http://files.invalid/a')).text())`,
    { http_proxy: proxy.url(), no_proxy: '' },
  )

  expect(output).toBe('by proxy\n')
  expect(proxy.asked).toEqual(['GET http://files.invalid/a'])
})

test('progress is told of the content as it is read', async () => {
  await using server = await TestServer.start((_, response) => void response.end('hello'))
  const told: number[] = []

  await get(server.url(), { onDownloadProgress: ({ bytes }) => void told.push(bytes) })

  expect(told.at(-1)).toBe(5)
})
