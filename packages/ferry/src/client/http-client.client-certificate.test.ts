/** A server that wants a certificate of ours: TLS 1.3 says so only after the handshake. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSecureServer } from 'node:http2'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { HttpClient } from './http-client.ts'
import { ConnectError } from '../errors.ts'
import { createCertificate } from '../testing/certificates.ts'

const SERVER = createCertificate('IP:127.0.0.1')

interface Row {
  readonly version: 'TLSv1.2' | 'TLSv1.3'
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
}

const rows = (['TLSv1.2', 'TLSv1.3'] as const).flatMap((version) =>
  (['HTTP/1.1', 'HTTP/2'] as const).map((protocol): Row => ({ version, protocol })),
)

test.each(rows)(
  'a server that wants a certificate which we have not is asked once, by $protocol over $version',
  async ({ version, protocol }) => {
    const settings = {
      ...SERVER,
      ca: SERVER.cert,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    }
    const server =
      protocol === 'HTTP/2' ? createSecureServer(settings) : createServer(settings, () => {})
    let connections = 0
    server.on('connection', () => connections++)
    server.on('sessionError', () => {})
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
    await using client = new HttpClient({
      proxy: false,
      retryDelayMs: 1,
      tls: { ca: SERVER.cert },
    })

    const error: unknown = await client.get(url).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    server.close()

    expect(error).toBeInstanceOf(ConnectError)
    expect(error).toMatchObject({ code: 'tls-failed', attempts: 1, url })
    const { message } = error as ConnectError
    expect(message).toContain(`Cannot GET ${url}: cannot secure the connection to 127.0.0.1:`)
    expect(message).not.toMatch(/\n|:SSL|error:/)
    expect(connections).toBe(1)
  },
)
