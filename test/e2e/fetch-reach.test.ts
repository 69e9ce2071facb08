/** How `ferry fetch` reaches the server: proxies, versions, certificates, cookies. */
import { createSecureServer, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer, type SeenRequest } from '../support/fetch-server.ts'
import { type FerryExit, runFerry } from '../support/run-ferry.ts'
import { runFetch } from '../support/run-fetch.ts'
import { TempDir } from '../support/temp-dir.ts'

describe('ferry fetch reaches the server', () => {
  test('through a proxy, that of the environment, or none', async () => {
    await using proxy = await FetchServer.start()
    await using server = await FetchServer.start()
    const { host } = new URL(proxy.url('/'))
    const env = { HTTP_PROXY: proxy.url('') }
    const url = server.url('/echo')

    const exits = await Promise.all([
      runFetch(['--proxy', host, url]),
      runFetch([url], { env }),
      runFetch(['--proxy', 'none', url], { env }),
    ])

    expect(exits.map(({ stdout }) => (JSON.parse(stdout) as SeenRequest).url)).toEqual([
      url,
      url,
      '/echo',
    ])
  })

  test('over the version of HTTP and with the certificates that it is told', async () => {
    const identity = createCertificate('IP:127.0.0.1')
    await using server = await startHttp2(
      createSecureServer({
        ...identity,
        allowHTTP1: true,
        requestCert: true,
        rejectUnauthorized: false,
      }),
    )
    await using plain = await startHttp2(createHttp2Server())
    const url = `https://127.0.0.1:${server.port}/`
    const files = { 'ca.pem': identity.cert, 'cert.pem': identity.cert, 'key.pem': identity.key }
    const trust = ['--cacert', 'ca.pem']

    const exits = await Promise.all([
      runFetch([...trust, url], { files }),
      runFetch([...trust, '--http2', url], { files }),
      runFetch([...trust, '--http1', url], { files }),
      runFetch(['--insecure', '--cert', 'cert.pem', '--key', 'key.pem', url], { files }),
      runFetch(['--http2-prior-knowledge', `http://127.0.0.1:${plain.port}/`]),
      runFetch([url]),
    ])

    expect(exits.slice(0, 5).map(({ stdout }) => stdout)).toEqual([
      '2.0',
      '2.0',
      '1.1',
      '2.0 shown: Ferry test',
      '2.0',
    ])
    expectRefusal(exits[5] as FerryExit, { exitCode: 5, line: 'self-signed' })
  })

  test('with the cookies that came before', async () => {
    await using server = await FetchServer.start({
      '/login': (_, response) => response.setHeader('Set-Cookie', 'sid=abc; Path=/').end(),
    })
    await using dir = await TempDir.create()
    const args = ['fetch', '--cookie-jar', 'jar.txt']

    const login = await runFerry([...args, server.url('/login')], { cwd: dir.path })
    await runFerry([...args, server.url('/echo')], { cwd: dir.path })

    expect(login).toMatchObject({ exitCode: 0, stderr: '' })
    expect(server.requests[1]?.headers.cookie).toBe('sid=abc')
    expect((await dir.read('jar.txt')).toString()).toContain('sid\tabc')
  })
})

/** Answers with the version that was spoken and the certificate that was shown. */
async function startHttp2(server: Http2Server): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket: { destroy(): void }) => sockets.add(socket))
  server.on('request', (request, response) => {
    const socket = request.stream?.session?.socket ?? request.socket
    const { subject } = (socket as Partial<TLSSocket>).getPeerCertificate?.() ?? {}
    const shown = subject?.CN === undefined ? '' : ` shown: ${String(subject.CN)}`
    response.end(`${request.httpVersion}${shown}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
