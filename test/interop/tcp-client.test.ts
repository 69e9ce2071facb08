/** TcpClient against programs that were not made for it: nginx, openssl s_server and gnutls-serv. */
import { buildTlsContext } from '../../packages/ferry/src/client/tls-settings.ts'
import { TcpClient } from '../../packages/ferry/src/net/tcp-client.ts'
import type { TcpClientOptions } from '../../packages/ferry/src/net/tcp-client-options.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import type { OriginServer } from '../support/origin-server.ts'
import { ServerProcess } from '../support/server-process.ts'
import { BIG_SIZE, Site, SMALL_TEXT } from '../support/site.ts'
import { digestOf } from '../support/temp-dir.ts'
import { requireTool, type Tool } from '../support/tools.ts'

let site: Site
let nginx: OriginServer

beforeAll(async () => {
  site = await Site.create()
  nginx = await startNginxOrigin(site)
})

afterAll(async () => {
  await nginx[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

async function connect(port: number, options: Partial<TcpClientOptions> = {}): Promise<TcpClient> {
  const client = new TcpClient({ host: '127.0.0.1', port, ...options })
  await client.connect()
  return client
}

/** Starts a program of one port. */
function startProgram(
  tool: Tool,
  args: (port: string) => readonly string[],
): Promise<ServerProcess> {
  return ServerProcess.start({
    name: tool,
    path: requireTool(tool),
    portCount: 1,
    configure: (_folder, [port]) => Promise.resolve(args(String(port))),
  })
}

/** `openssl s_server`, which gives every line back reversed. */
function startOpenssl(...more: string[]): Promise<ServerProcess> {
  const identity = ['-cert', site.tls.cert, '-key', site.tls.key]
  return startProgram('openssl', (port) => {
    return ['s_server', '-accept', port, '-rev', ...identity, ...more]
  })
}

/** The head of a response: fields by their names, in small letters. */
async function readHead(client: TcpClient): Promise<Map<string, string>> {
  const fields = new Map([['status', (await client.readLine()) ?? '']])
  for (let line = await client.readLine(); line; line = await client.readLine()) {
    const colon = line.indexOf(':')
    fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return fields
}

test.each(['plain', 'over TLS'])('nginx: HTTP/1.1 by hand, %s', async (how) => {
  const tls = how === 'plain' ? undefined : { ca: site.ca }
  await using client = await connect(tls === undefined ? nginx.port : nginx.tlsPort, { tls })
  const contents: string[] = []
  for (let index = 0; index < 3; index++) {
    await client.send('GET /small.txt HTTP/1.1\r\nHost: a.test\r\n\r\n')
    const head = await readHead(client)
    expect(head.get('status')).toBe('HTTP/1.1 200 OK')
    const content = await client.readExactly(Number(head.get('content-length')))
    contents.push(content.toString())
  }

  expect(contents).toEqual([SMALL_TEXT, SMALL_TEXT, SMALL_TEXT])
})

test('nginx: a big file arrives whole, and the end after it', async () => {
  await using client = await connect(nginx.port)
  await client.send('GET /big.bin HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
  const head = await readHead(client)
  const content = await client.readExactly(Number(head.get('content-length')))

  expect(content).toHaveLength(BIG_SIZE)
  expect(digestOf(content)).toBe(site.bigDigest)
  expect(await client.receive()).toHaveLength(0)
  expect(client.isConnected).toBe(false)
})

test('nginx: a connection that it has closed is replaced when asked for', async () => {
  await using client = await connect(nginx.port, { reconnect: true })
  for (let index = 0; index < 3; index++) {
    await client.send('GET /small.txt HTTP/1.0\r\n\r\n')
    await readHead(client)
    expect(await client.readLine()).toBe(SMALL_TEXT.trimEnd())
    expect(await client.readLine()).toBeUndefined()
  }
})

test.each(['-tls1_2', '-tls1_3'])('openssl s_server %s: startTls() and lines', async (version) => {
  await using server = await startOpenssl(version)
  await using client = await connect(server.ports[0] as number)

  await client.startTls({ ca: site.ca })
  await client.send('one\n')
  const lines = [await client.readLine()]
  await client.send('two\n')
  lines.push(await client.readLine())

  expect(lines).toEqual(['eno', 'owt'])
  const expected = version === '-tls1_2' ? 'TLSv1.2' : 'TLSv1.3'
  expect(client.getExtraInfo('tls')).toMatchObject({ version: expected, authorized: true })
})

test('openssl s_server: a certificate of another name is refused', async () => {
  await using server = await startOpenssl()
  await using client = await connect(server.ports[0] as number)

  await expect(client.startTls({ ca: site.ca, serverName: 'b.test' })).rejects.toMatchObject({
    code: 'tls-failed',
    detail: { reason: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  })
})

test.each([
  ['TLSv1.3', '-tls1_2', 'tls-failed'],
  ['TLSv1.2', '-tls1_2', undefined],
] as const)(
  'buildTlsContext({ protocol: %s }) meets openssl s_server %s',
  async (protocol, version, code) => {
    await using server = await startOpenssl(version)
    const tls = buildTlsContext({ protocol, ca: site.ca }, {})
    const connecting = connect(server.ports[0] as number, { tls })

    if (code === undefined) {
      await using client = await connecting
      expect(client.isConnected).toBe(true)
    } else {
      await expect(connecting).rejects.toMatchObject({ code })
    }
  },
)

/**
 * A server without secure renegotiation (RFC 5746), which OpenSSL cannot be made into: its s_server
 * always sends the extension, `-legacy_renegotiation` or not.
 */
function startLegacyServer(): Promise<ServerProcess> {
  const priority = 'NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION'
  const identity = ['--x509certfile', site.tls.cert, '--x509keyfile', site.tls.key]
  return startProgram('gnutls-serv', (port) => {
    return ['--echo', '--port', port, '--priority', priority, ...identity]
  })
}

test('enableLegacyServerConnect lets a server without RFC 5746 in, and nothing else does', async () => {
  await using server = await startLegacyServer()
  const talk = async (
    enableLegacyServerConnect: boolean | undefined,
    env = {},
  ): Promise<string> => {
    const tls = buildTlsContext({ ca: site.ca, enableLegacyServerConnect }, env)
    await using client = await connect(server.ports[0] as number, { tls, retries: 0 })
    await client.send('hello\n')
    return (await client.readLine()) ?? 'the end'
  }
  const refusal = {
    code: 'tls-failed',
    detail: { reason: 'ERR_SSL_UNSAFE_LEGACY_RENEGOTIATION_DISABLED' },
  }

  await expect(talk(undefined)).rejects.toMatchObject(refusal)
  await expect(talk(false, { FERRY_TLS_LEGACY_SERVER_CONNECT: '1' })).rejects.toMatchObject(refusal)
  await expect(talk(true)).resolves.toBe('hello')
  await expect(talk(undefined, { RC_TLS_LEGACY_RENEGOTIATION_ALLOWED: '1' })).resolves.toBe('hello')
})
