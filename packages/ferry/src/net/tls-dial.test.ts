import { execFile, execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_CIPHERS, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { type Certificate, createCertificate } from '../testing/certificates.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import type { NetworkStream, TlsOptions, TlsSession } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'
import { publicKeyPin } from './tls-pins.ts'

const SERVER = createCertificate('DNS:server.test')
const CLIENT = createCertificate('DNS:client.test')
const PIN = publicKeyPin(new X509Certificate(SERVER.cert))
const WRONG_PIN = publicKeyPin(new X509Certificate(CLIENT.cert))
const TRUSTING: TlsOptions = { ca: SERVER.cert }

/** Resolves every name to the loopback. */
const backend = new NodeBackend({
  resolver: {
    resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    forget: () => {},
  },
})

interface Call {
  readonly host?: string
  readonly tls: TlsOptions
  readonly alpnProtocols?: readonly string[]
}

function connect(server: LoopbackServer, call: Call): Promise<NetworkStream> {
  return backend.connect({ host: 'server.test', port: server.port, timeoutMs: 10_000, ...call })
}

/** Connects, reads until the server closes, so that its tickets have come, and tells of the session. */
async function visit(server: LoopbackServer, call: Call): Promise<TlsSession | undefined> {
  const stream = await connect(server, call)
  const session = stream.getExtraInfo('tls')
  await new Promise<void>((resolve, reject) =>
    stream.read({
      onBytes: () => {},
      onEnd: () => resolve(),
      onError: (error) => reject(error),
      nextBuffer: () => undefined,
    }),
  )
  stream.close()
  return session
}

function greet(socket: Socket): void {
  socket.end('hello')
}

/** An encrypted copy of a key. */
function encryptKey(key: string, passphrase: string): string {
  const args = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', `pass:${passphrase}`]
  return execFileSync('openssl', args, { input: key, encoding: 'utf8' })
}

/** Options of node:tls that the server takes besides its certificate. */
function serverWith(options: object): Certificate {
  return { ...SERVER, ...options }
}

test.each([
  ['plain', { key: CLIENT.key }],
  ['encrypted', { key: encryptKey(CLIENT.key, 'open'), passphrase: 'open' }],
])('TLS shows our certificate, with its %s key, to a server that asks for it', async (_, key) => {
  const seen: boolean[] = []
  const options = serverWith({ requestCert: true, rejectUnauthorized: true, ca: CLIENT.cert })
  await using server = await LoopbackServer.open((socket) => {
    seen.push((socket as TLSSocket).authorized)
    greet(socket)
  }, options)

  await visit(server, { tls: { ...TRUSTING, cert: CLIENT.cert, ...key } })

  expect(seen).toEqual([true])
})

test.each([
  ['cert', { key: CLIENT.key }],
  ['key', { cert: CLIENT.cert }],
  ['key', { cert: CLIENT.cert, key: SERVER.key }],
  ['key', { cert: CLIENT.cert, key: 'S3CRET' }],
  ['cert', { cert: 'S3CRET', key: CLIENT.key }],
  ['passphrase', { cert: CLIENT.cert, key: encryptKey(CLIENT.key, 'open') }],
  ['passphrase', { cert: CLIENT.cert, key: encryptKey(CLIENT.key, 'open'), passphrase: 'S3CRET' }],
  ['minVersion', { minVersion: 'SSLv3' as 'TLSv1' }],
  ['pins', { pins: ['nonsense'] }],
])('TLS fails with a ConfigError that names %s', async (option, tls) => {
  const error: unknown = await backend
    .connect({ host: '127.0.0.1', port: 1, timeoutMs: 1_000, tls: { ...TRUSTING, ...tls } })
    .catch((failure: unknown) => failure)

  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({ option })
  expect((error as Error).stack).not.toContain('S3CRET')
})

test('TLS takes an old version only when asked to', async () => {
  const ciphers = `${DEFAULT_CIPHERS}:@SECLEVEL=0`
  const old = serverWith({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers })
  await using server = await LoopbackServer.open(greet, old)

  await expect(connect(server, { tls: TRUSTING })).rejects.toMatchObject({
    code: 'tls-failed',
    message: expect.stringMatching(
      /: the server speaks no version of TLS that is allowed$/,
    ) as string,
  })
  const session = await visit(server, { tls: { ...TRUSTING, minVersion: 'TLSv1' } })

  expect(session?.version).toBe('TLSv1.1')
})

test('TLS refuses an older version than asked for', async () => {
  await using server = await LoopbackServer.open(greet, serverWith({ maxVersion: 'TLSv1.2' }))

  await expect(
    connect(server, { tls: { ...TRUSTING, minVersion: 'TLSv1.3' } }),
  ).rejects.toMatchObject({ code: 'tls-failed' })
})

test.each([
  [['http/1.1', 'h2'], 'h2'],
  [['http/1.1'], 'http/1.1'],
  [[], undefined],
  [undefined, undefined],
])('TLS offers the protocols %j and tells the choice', async (alpnProtocols, chosen) => {
  await using server = await LoopbackServer.open(greet, SERVER)
  const offer = alpnProtocols === undefined ? {} : { alpnProtocols }

  expect((await visit(server, { tls: TRUSTING, ...offer }))?.alpnProtocol).toBe(chosen)
})

test('TLS says when the server speaks none of the protocols', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)

  await expect(connect(server, { tls: TRUSTING, alpnProtocols: ['gopher'] })).rejects.toMatchObject(
    {
      message: expect.stringMatching(
        /: the server speaks none of the protocols offered$/,
      ) as string,
    },
  )
})

test.each([
  [{ host: 'server.test', tls: TRUSTING }, 'server.test'],
  [{ host: 'server.test.', tls: TRUSTING }, 'server.test'],
  [{ host: '127.0.0.1', tls: { ...TRUSTING, serverName: 'server.test' } }, 'server.test'],
  [{ host: '127.0.0.1', tls: { insecure: true } }, false],
])('TLS asks %j for the right name', async (call, name) => {
  const asked: unknown[] = []
  await using server = await LoopbackServer.open((socket) => {
    asked.push((socket as TLSSocket & { servername: unknown }).servername)
    greet(socket)
  }, SERVER)

  await visit(server, call)

  expect(asked).toEqual([name])
})

test('TLS checks the certificate against serverName, not against the host', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)

  await expect(
    connect(server, { tls: { ...TRUSTING, serverName: 'other.test' } }),
  ).rejects.toMatchObject({
    message: expect.stringMatching(/: the certificate is for another host$/) as string,
  })
})

test('TLS tells that an insecure connection is not authorized', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)

  const insecure = await visit(server, { tls: { insecure: true } })
  const checked = await visit(server, { tls: TRUSTING })

  const digest = new X509Certificate(SERVER.cert).fingerprint256.replaceAll(':', '').toLowerCase()
  expect(insecure).toMatchObject({ authorized: false, resumed: false, certificateSha256: digest })
  expect(checked).toMatchObject({ authorized: true, resumed: false, certificateSha256: digest })
})

test.each([
  ['trusting', TRUSTING],
  ['insecure', { insecure: true }],
])('TLS lets in a server with a pinned key only, when %s', async (_, tls) => {
  await using server = await LoopbackServer.open(greet, SERVER)

  const session = await visit(server, { tls: { ...tls, pins: [WRONG_PIN, `sha256//${PIN}`] } })
  expect(session?.version).toBe('TLSv1.3')
  await expect(connect(server, { tls: { ...tls, pins: [WRONG_PIN] } })).rejects.toMatchObject({
    code: 'tls-failed',
    message: expect.stringMatching(
      /: the server's public key is not a pinned one, it is sha256/,
    ) as string,
    detail: { reason: 'PIN_MISMATCH' },
  })
})

test('TLS with a right pin still checks the certificate', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)

  await expect(connect(server, { tls: { pins: [PIN] } })).rejects.toMatchObject({
    detail: { reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  })
})

test.each(['TLSv1.2', 'TLSv1.3'])(
  '%s takes a session up again and knows the peer still',
  async (version) => {
    await using server = await LoopbackServer.open(greet, serverWith({ maxVersion: version }))

    const first = await visit(server, { tls: TRUSTING })
    const second = await visit(server, { tls: TRUSTING })

    expect(first).toMatchObject({ version, resumed: false, authorized: true })
    expect(second).toMatchObject({ version, resumed: true, authorized: true })
    expect(second?.certificateSha256).toBe(first?.certificateSha256)
  },
)

test.each(['TLSv1.2', 'TLSv1.3'])(
  '%s with pins does not trust a session begun without',
  async (maxVersion) => {
    await using server = await LoopbackServer.open(greet, serverWith({ maxVersion }))
    await visit(server, { tls: TRUSTING })

    await expect(
      connect(server, { tls: { ...TRUSTING, pins: [WRONG_PIN] } }),
    ).rejects.toMatchObject({
      detail: { reason: 'PIN_MISMATCH' },
    })
    // The refused handshake has left nothing to take up; one with the right pin does.
    const fresh = await visit(server, { tls: { ...TRUSTING, pins: [PIN] } })
    const resumed = await visit(server, { tls: { ...TRUSTING, pins: [PIN] } })

    expect(fresh?.resumed).toBe(false)
    expect(resumed?.resumed).toBe(true)
  },
)

test.each(['TLSv1.2', 'TLSv1.3'])(
  '%s does not take an unchecked session for a checked one',
  async (maxVersion) => {
    await using server = await LoopbackServer.open(greet, serverWith({ maxVersion }))
    const wrongName: Call = { host: 'other.test', tls: TRUSTING }
    // Of the right authority: only the name is wrong, which a resumed handshake does not look at.
    await visit(server, { host: 'other.test', tls: { ...TRUSTING, insecure: true } })

    await expect(connect(server, wrongName)).rejects.toMatchObject({
      detail: { reason: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    })
    const again = await visit(server, { host: 'other.test', tls: { ...TRUSTING, insecure: true } })

    expect(again).toMatchObject({ resumed: true, authorized: false })
  },
)

test('TLS does not take up a session under other settings', async () => {
  await using server = await LoopbackServer.open(greet, SERVER)
  await visit(server, { tls: TRUSTING })

  const stricter = await visit(server, { tls: { ...TRUSTING, minVersion: 'TLSv1.3' } })

  expect(stricter?.resumed).toBe(false)
})

// A ServerHello of TLS 1.2 without renegotiation_info (RFC 5746 §3.6), for a suite that we offer.
const LEGACY_HELLO = Buffer.from(
  `160303002a 02000026 0303 ${'11'.repeat(32)} 00 c02f 00`.replaceAll(' ', ''),
  'hex',
)

test.each([
  [false, 'ERR_SSL_UNSAFE_LEGACY_RENEGOTIATION_DISABLED'],
  [true, undefined],
])('TLS with legacyServerConnect %s meets an old server', async (legacyServerConnect, reason) => {
  await using server = await LoopbackServer.open((socket) => {
    socket.once('data', () => socket.end(LEGACY_HELLO))
  })

  // It hangs up after its hello; what counts is whether the hello was taken.
  await expect(
    connect(server, { tls: { ...TRUSTING, legacyServerConnect } }),
  ).rejects.toMatchObject({
    code: 'tls-failed',
    detail: { reason: reason ?? (expect.not.stringContaining('LEGACY') as string) },
  })
})

test('TLS trusts the system by default, and NODE_EXTRA_CA_CERTS', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-trust-'))
  const file = join(folder, 'ca.pem')
  writeFileSync(file, SERVER.cert)
  const nobody = join(folder, 'none.pem')
  writeFileSync(nobody, CLIENT.cert)
  await using server = await LoopbackServer.open(greet, SERVER)
  const script = `
    const { NodeBackend } = await import(process.argv[1])
    const resolver = { resolve: async () => [{ address: '127.0.0.1', family: 4 }], forget() {} }
    const options = { host: 'server.test', port: Number(process.argv[2]), timeoutMs: 10000, tls: {} }
    const stream = await new NodeBackend({ resolver }).connect(options)
    console.log(stream.getExtraInfo('tls').authorized)
    stream.close()`
  const module = new URL('node-backend.ts', import.meta.url).href
  const args = ['--input-type=module', '-e', script, module, String(server.port)]
  const run = async (env: Record<string, string>): Promise<string> => {
    const options = {
      env: { ...process.env, SSL_CERT_DIR: join(folder, 'no-such-folder'), ...env },
    }
    return (await promisify(execFile)(process.execPath, args, options)).stdout
  }

  try {
    const bySystem = run({ SSL_CERT_FILE: file })
    const byExtra = run({ SSL_CERT_FILE: nobody, NODE_EXTRA_CA_CERTS: file })
    const byNobody = run({ SSL_CERT_FILE: nobody })

    const refusal = expect(byNobody).rejects.toThrow('the certificate is self-signed')
    expect(await bySystem).toBe('true\n')
    expect(await byExtra).toBe('true\n')
    await refusal
  } finally {
    rmSync(folder, { recursive: true })
  }
})
