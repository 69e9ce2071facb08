/** Ferry beside curl and aria2, and with servers that were not made for it. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { Nginx } from '../support/nginx.ts'
import { runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const run = promisify(execFile)
const CONTENT = randomBytes(12_000_001)
const DIGEST = digestOf(CONTENT)
/** Unbuffered, on a free port. */
const PYTHON_ARGS = ['-u', '-m', 'http.server', '--bind', '127.0.0.1', '0']

test('ferry, curl and aria2 fetch the same bytes', async () => {
  await using nginx = await Nginx.start({ limitRate: 8_000_000 })
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const url = nginx.url('file.bin')
  const cwd = { cwd: dir.path }
  // Neither takes the settings or the proxy of whoever runs the tests.
  const ownSettings = ['--no-conf=true', '--no-proxy=127.0.0.1', '--quiet=true']

  await Promise.all([
    run(requireTool('curl'), ['-q', '--noproxy', '*', '-sSfo', 'by-curl', url], cwd),
    run(requireTool('aria2c'), [...ownSettings, '-x', '4', '-k', '1M', '-o', 'by-aria2', url], cwd),
    runFerry(['get', '-x', '4', '-o', 'by-ferry', url], cwd),
  ])

  expect(await dir.names()).toEqual(['by-aria2', 'by-curl', 'by-ferry'])
  for (const name of await dir.names()) expect(await dir.digest(name)).toBe(DIGEST)
})

test('ferry leaves what another program has and it cannot read', async () => {
  await using nginx = await Nginx.start()
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  // aria2 writes into the target itself, with this file beside it.
  await dir.write('file.bin', CONTENT.subarray(0, 1000))
  await dir.write('file.bin.aria2', 'its notes')

  const refused = await runFerry(['get', nginx.url('file.bin')], { cwd: dir.path })

  expect(refused).toMatchObject({ exitCode: 13, stderr: expect.stringContaining('file.bin.aria2') })
  expect(await dir.names()).toEqual(['file.bin', 'file.bin.aria2'])
  expect((await dir.read('file.bin')).length).toBe(1000)
})

test('ferry fetches from the server of Python, which has no ranges', async () => {
  await using source = await TempDir.create()
  await using dir = await TempDir.create()
  await source.write('file.bin', CONTENT)
  const server = spawn(requireTool('python3'), PYTHON_ARGS, {
    cwd: source.path,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    // It tells its port once it listens.
    const [told] = (await once(server.stdout, 'data')) as [Buffer]
    const port = /port (\d+)/.exec(told.toString())?.[1]

    const fetched = await runFerry(['get', `http://127.0.0.1:${port}/file.bin`], { cwd: dir.path })

    expect(fetched).toMatchObject({ exitCode: 0, notes: '' })
    expect(await dir.digest('file.bin')).toBe(DIGEST)
  } finally {
    server.kill('SIGKILL')
    await once(server, 'close')
  }
})

const LISTENERS: readonly { what: string; listener: RequestListener }[] = [
  {
    what: 'with Content-Length',
    listener: (_request, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length }).end(CONTENT)
    },
  },
  {
    what: 'in chunks',
    listener: (_request, response) => {
      response.write(CONTENT.subarray(0, 5_000_000))
      response.end(CONTENT.subarray(5_000_000))
    },
  },
  {
    what: 'in chunks, with a trailer',
    listener: (_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write(CONTENT)
      response.addTrailers({ 'X-Sum': '1' })
      response.end()
    },
  },
  {
    what: 'up to the end of the connection',
    listener: (_request, response) => {
      response.removeHeader('Transfer-Encoding')
      response.removeHeader('Content-Length')
      response.shouldKeepAlive = false
      response.write(CONTENT)
      response.end()
    },
  },
  {
    what: 'after an early hint',
    listener: (_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
      response.end(CONTENT)
    },
  },
]

test.each(LISTENERS)('ferry fetches from node:http that sends $what', async ({ listener }) => {
  await using dir = await TempDir.create()
  await using server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const fetched = await runFerry(['get', `http://127.0.0.1:${port}/file.bin`], { cwd: dir.path })

  expect(fetched).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})
