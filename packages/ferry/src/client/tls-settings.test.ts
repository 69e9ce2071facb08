import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { buildTlsContext } from './tls-settings.ts'

const SERVER = createCertificate('IP:127.0.0.1')

function greet(socket: Socket): void {
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'))
}

async function get(server: LoopbackServer, tls = buildTlsContext({}, {})): Promise<number> {
  await using pool = new ConnectionPool({ tls, http2: 'off' })
  const response = await pool.request(new HttpRequest('GET', `https://127.0.0.1:${server.port}/`))
  await response.body.bytes()
  return response.status
}

test('buildTlsContext() verifies by default, against the system or what it is given', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)

  await expect(get(server)).rejects.toMatchObject({ code: 'tls-failed' })
  await expect(get(server, buildTlsContext({ ca: SERVER.cert }, {}))).resolves.toBe(200)
  await expect(get(server, buildTlsContext({ verify: false }, {}))).resolves.toBe(200)
})

test('buildTlsContext() gives what a pool takes, and nothing that was not asked for', () => {
  const identity = { cert: 'CERT', key: 'KEY', passphrase: 'P' }

  expect(buildTlsContext({}, {})).toEqual({})
  expect(buildTlsContext({ protocol: 'TLS' }, {})).toEqual({})
  expect(
    buildTlsContext({ protocol: 'TLSv1.3', verify: false, ca: ['A'], ...identity }, {}),
  ).toEqual({ minVersion: 'TLSv1.3', insecure: true, ca: ['A'], ...identity })
})

test.each([
  [{}, undefined, false],
  [{}, true, true],
  [{ FERRY_TLS_LEGACY_SERVER_CONNECT: '1' }, undefined, true],
  [{ FERRY_TLS_LEGACY_SERVER_CONNECT: 'TRUE' }, undefined, true],
  [{ FERRY_TLS_LEGACY_SERVER_CONNECT: 'yes' }, undefined, false],
  [{ FERRY_TLS_LEGACY_SERVER_CONNECT: '1' }, false, false],
  [{ SEMA4AI_TLS_LEGACY_RENEGOTIATION_ALLOWED: 'true' }, undefined, true],
  [{ RC_TLS_LEGACY_RENEGOTIATION_ALLOWED: '1' }, undefined, true],
  [
    { SEMA4AI_TLS_LEGACY_RENEGOTIATION_ALLOWED: '0', RC_TLS_LEGACY_RENEGOTIATION_ALLOWED: '1' },
    undefined,
    false,
  ],
  [
    { SEMA4AI_TLS_LEGACY_RENEGOTIATION_ALLOWED: '', RC_TLS_LEGACY_RENEGOTIATION_ALLOWED: '1' },
    undefined,
    true,
  ],
])('buildTlsContext() in %j with enableLegacyServerConnect %s: %s', (env, asked, allowed) => {
  const tls = buildTlsContext({ enableLegacyServerConnect: asked }, env)

  expect(tls.legacyServerConnect === true).toBe(allowed)
})

test('buildTlsContext() refuses what it cannot mean', () => {
  expect(() => buildTlsContext({ protocol: 'SSLv3' as 'TLS' }, {})).toThrow(
    expect.objectContaining({ code: 'config', option: 'protocol' }),
  )
  expect(() => buildTlsContext({ verify: 0 as unknown as boolean }, {})).toThrow(TypeError)
})
