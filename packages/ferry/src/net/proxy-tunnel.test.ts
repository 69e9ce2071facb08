import { getEventListeners } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import type { Address } from './happy-eyeballs.ts'
import type { ConnectOptions, ConnectStep, NetworkStream } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'
import { connectThroughProxy, parseProxy, type ProxySettings } from './proxy.ts'
import type { Resolver } from './resolver.ts'

const ORIGIN_CERTIFICATE = createCertificate('DNS:origin.test')
const PROXY_CERTIFICATE = createCertificate('IP:127.0.0.1')
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n'
const backend = new NodeBackend()

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Gives what came on a socket up to and with `length` bytes, or an end mark, and no more. */
function take(socket: Socket, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const onData = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      if (!enough(text)) return
      socket.off('data', onData)
      socket.pause()
      resolve(text)
    }
    socket.on('data', onData).resume()
  })
}

/** Joins a client of the proxy to the origin. */
function join(client: Socket, port: number, greeting: string | Buffer): void {
  const onward = connectSocket({ host: '127.0.0.1', port })
  onward.on('error', () => client.destroy())
  // Nobody else would see the client go.
  onward.on('close', () => client.resume())
  client.on('close', () => onward.destroy())
  onward.on('connect', () => {
    client.write(greeting)
    client.pipe(onward).pipe(client)
  })
}

interface ProxyServer extends AsyncDisposable {
  readonly server: LoopbackServer
  /** What each client asked for. */
  readonly asked: string[]
}

function proxyServer(server: LoopbackServer, asked: string[]): ProxyServer {
  return { server, asked, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** An HTTP proxy that lets everybody through to the port, whatever was asked for. */
async function openHttpProxy(port: number, secure = false): Promise<ProxyServer> {
  const asked: string[] = []
  const accept = async (socket: Socket): Promise<void> => {
    asked.push(await take(socket, (text) => text.endsWith('\r\n\r\n')))
    join(socket, port, ESTABLISHED)
  }
  const certificate = secure ? PROXY_CERTIFICATE : undefined
  return proxyServer(await LoopbackServer.open((socket) => void accept(socket), certificate), asked)
}

/** A SOCKS 5 proxy that wants a password when `method` is 2, and answers with each reply in turn. */
async function openSocksProxy(port: number, method = 0, replies = [0]): Promise<ProxyServer> {
  const asked: string[] = []
  const accept = async (socket: Socket): Promise<void> => {
    await take(socket, (text) => text.length > 2)
    socket.write(Buffer.of(5, method))
    if (method === 2) {
      asked.push(await take(socket, (text) => text.length > 2))
      socket.write(Buffer.of(1, 0))
    }
    asked.push(Buffer.from(await take(socket, (text) => text.length > 9), 'latin1').toString('hex'))
    const reply = replies.shift() ?? 0
    const answer = Buffer.of(5, reply, 0, 1, 0, 0, 0, 0, 0, 0)
    if (reply === 0) join(socket, port, answer)
    else socket.end(answer)
  }
  return proxyServer(await LoopbackServer.open((socket) => void accept(socket)), asked)
}

/** A proxy that answers the first bytes of each client with these, and then as `then` says. */
function openAnsweringProxy(
  answer: string | Buffer,
  then: (socket: Socket) => void = () => {},
): Promise<LoopbackServer> {
  return LoopbackServer.open((socket) =>
    socket.once('data', () => {
      socket.write(answer)
      then(socket)
    }),
  )
}

function proxyAt(server: LoopbackServer, scheme = 'http', credentials = ''): ProxySettings {
  const tls = { ca: PROXY_CERTIFICATE.cert }
  return parseProxy({ url: `${scheme}://${credentials}127.0.0.1:${server.port}`, tls })
}

const TARGET: ConnectOptions = { host: 'origin.test', port: 443, timeoutMs: 10_000 }
const TRUSTING = { ca: ORIGIN_CERTIFICATE.cert }

/** Reads up to the end. */
function readAll(stream: NetworkStream): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) =>
    stream.read({
      onBytes: (bytes) => (text += bytes.toString('latin1')),
      onEnd: () => resolve(text),
      onError: reject,
      nextBuffer: () => undefined,
    }),
  )
}

function resolverOf(...addresses: Address[]): Resolver {
  return { resolve: () => Promise.resolve(addresses), forget: () => {} }
}

test.each([
  ['an http proxy', 'http', undefined],
  ['an http proxy, with TLS', 'http', TRUSTING],
  ['an https proxy', 'https', undefined],
  ['an https proxy, with TLS within TLS', 'https', TRUSTING],
  ['a SOCKS proxy', 'socks5h', undefined],
  ['a SOCKS proxy, with TLS', 'socks5h', TRUSTING],
])('connectThroughProxy() reaches an origin through %s', async (_, scheme, tls) => {
  const certificate = tls === undefined ? undefined : ORIGIN_CERTIFICATE
  await using origin = await LoopbackServer.open((socket) => socket.end('hello'), certificate)
  await using proxy =
    scheme === 'socks5h'
      ? await openSocksProxy(origin.port)
      : await openHttpProxy(origin.port, scheme === 'https')

  const stream = await connectThroughProxy(backend, proxyAt(proxy.server, scheme), {
    ...TARGET,
    tls,
  })

  expect(await readAll(stream)).toBe('hello')
  expect(stream.getExtraInfo('peer')?.port).toBe(proxy.server.port)
  stream.close()
  await until(() => proxy.server.connections === 0)
})

test('connectThroughProxy() checks the certificate for the origin, not for the proxy', async () => {
  await using origin = await LoopbackServer.open(undefined, PROXY_CERTIFICATE)
  await using proxy = await openHttpProxy(origin.port)
  const tls = { ca: PROXY_CERTIFICATE.cert }

  await expect(
    connectThroughProxy(backend, proxyAt(proxy.server), { ...TARGET, tls }),
  ).rejects.toMatchObject({
    code: 'tls-failed',
    detail: { reason: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  })
  await until(() => proxy.server.connections === 0)
})

test('connectThroughProxy() asks an HTTP proxy by CONNECT', async () => {
  await using origin = await LoopbackServer.open()
  await using proxy = await openHttpProxy(origin.port)
  const url = `http://us%C3%A9r:pass@127.0.0.1:${proxy.server.port}`
  const settings = parseProxy({ url, headers: { 'X-Team': 'blue' } })

  const named = await connectThroughProxy(backend, settings, TARGET)
  const numbered = await connectThroughProxy(backend, proxyAt(proxy.server), {
    ...TARGET,
    host: '2001:db8::1',
    port: 80,
  })

  const login = Buffer.from('us\u00e9r:pass').toString('base64')
  expect(proxy.asked).toEqual([
    'CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\nX-Team: blue\r\n' +
      `Proxy-Authorization: Basic ${login}\r\n\r\n`,
    'CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n',
  ])
  named.close()
  numbered.close()
})

test('connectThroughProxy() logs in to a SOCKS proxy and gives it the name', async () => {
  await using origin = await LoopbackServer.open()
  await using proxy = await openSocksProxy(origin.port, 2)

  const settings = proxyAt(proxy.server, 'socks5h', 'user:pass@')
  const stream = await connectThroughProxy(backend, settings, TARGET)

  expect(proxy.asked[0]).toBe('\u0001\u0004user\u0004pass')
  expect(Buffer.from(proxy.asked[1] ?? '', 'hex').toString('latin1')).toContain('origin.test')
  stream.close()
})

test('connectThroughProxy() resolves for socks5: and goes on to the next address', async () => {
  await using origin = await LoopbackServer.open()
  await using proxy = await openSocksProxy(origin.port, 0, [4, 0])
  const resolver = resolverOf(
    { address: '2001:db8::1', family: 6 },
    { address: '192.0.2.1', family: 4 },
  )
  const steps: string[] = []
  const onStep = ({ step, phase }: ConnectStep): void => void steps.push(`${step} ${phase}`)

  const options = { ...TARGET, onStep }
  const stream = await connectThroughProxy(backend, proxyAt(proxy.server, 'socks5'), options, {
    resolver,
  })

  expect(proxy.asked).toEqual([
    '0501000420010db800000000000000000000000101bb',
    '05010001c000020101bb',
  ])
  const attempt = ['connect start', 'connect end', 'proxy start']
  expect(steps).toEqual([
    ...['resolve start', 'resolve end'],
    ...[...attempt, 'proxy error'],
    ...[...attempt, 'proxy end'],
  ])
  stream.close()
  await until(() => proxy.server.connections === 0)
})

test('connectThroughProxy() does not try other addresses when the rules forbid it', async () => {
  await using proxy = await openSocksProxy(1, 0, [2, 0])
  const one: Address = { address: '192.0.2.1', family: 4 }
  const resolver = resolverOf(one, { ...one, address: '192.0.2.2' })

  await expect(
    connectThroughProxy(backend, proxyAt(proxy.server, 'socks5'), TARGET, { resolver }),
  ).rejects.toMatchObject({
    code: 'proxy-failed',
    message: expect.stringMatching(/: the rules of the proxy forbid it$/) as string,
    detail: { reply: 2 },
  })
  expect(proxy.asked).toHaveLength(1)
})

test('connectThroughProxy() fails with resolve-failed for a name without an address', async () => {
  await using proxy = await openSocksProxy(1)

  await expect(
    connectThroughProxy(backend, proxyAt(proxy.server, 'socks5'), TARGET, {
      resolver: resolverOf(),
    }),
  ).rejects.toMatchObject({ code: 'resolve-failed' })
})

test('connectThroughProxy() tells its steps in order', async () => {
  await using origin = await LoopbackServer.open(undefined, ORIGIN_CERTIFICATE)
  await using proxy = await openHttpProxy(origin.port, true)
  const steps: string[] = []
  const onStep = ({ step, phase }: ConnectStep): void => void steps.push(`${step} ${phase}`)

  const options = { ...TARGET, tls: TRUSTING, onStep }
  const stream = await connectThroughProxy(backend, proxyAt(proxy.server, 'https'), options)
  stream.close()

  expect(steps).toEqual([
    ...['connect start', 'connect end', 'tls start', 'tls end'],
    ...['proxy start', 'proxy end', 'tls start', 'tls end'],
  ])
})

test('connectThroughProxy() gives bytes behind the head of the answer to the next reader', async () => {
  await using proxy = await openAnsweringProxy(`${ESTABLISHED}early `, (socket) =>
    setImmediate(() => socket.end('bytes')),
  )

  const stream = await connectThroughProxy(backend, proxyAt(proxy), TARGET)
  await turn()

  expect(await readAll(stream)).toBe('early bytes')
  stream.close()
})

test('connectThroughProxy() refuses bytes behind the head when TLS is to come', async () => {
  await using proxy = await openAnsweringProxy(`${ESTABLISHED}injected`)

  await expect(
    connectThroughProxy(backend, proxyAt(proxy), { ...TARGET, tls: TRUSTING }),
  ).rejects.toMatchObject({ code: 'tls-failed' })
  await until(() => proxy.connections === 0)
})

test('connectThroughProxy() takes an answer in any pieces, with informational ones before it', async () => {
  const answer = `HTTP/1.1 103 Early Hints\r\n\r\n${ESTABLISHED}x`
  const trickle = async (socket: Socket): Promise<void> => {
    await take(socket, (text) => text.endsWith('\r\n\r\n'))
    for (const character of answer) {
      socket.write(character)
      await turn()
    }
    socket.end()
  }
  await using proxy = await LoopbackServer.open((socket) => void trickle(socket))

  const stream = await connectThroughProxy(backend, proxyAt(proxy), TARGET)

  expect(await readAll(stream)).toBe('x')
  stream.close()
})

const NO = 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno'

test.each([
  [NO, '', 'the proxy wants credentials (status 407)', { status: 407 }],
  [NO, 'user:S3CRET@', 'the proxy wants other credentials (status 407)', { status: 407 }],
  ['HTTP/1.1 403 Forbidden\r\n\r\n', '', 'the proxy answers 403 Forbidden', { status: 403 }],
  ['HTTP/1.1 502\r\n\r\n', '', 'the proxy answers 502', { status: 502, statusText: '' }],
  ['HTTP/1.1 101 Other\r\n\r\n', '', 'the proxy answers 101 Other', { status: 101 }],
  ['HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n', '', 'the proxy answers 302 Found', { status: 302 }],
])('connectThroughProxy() fails for the answer %j with %j', async (answer, login, why, detail) => {
  await using proxy = await openAnsweringProxy(answer)

  const error: unknown = await connectThroughProxy(
    backend,
    proxyAt(proxy, 'http', login),
    TARGET,
  ).catch((failure: unknown) => failure)

  const through = `through the proxy 127.0.0.1:${proxy.port}`
  expect(error).toMatchObject({
    code: 'proxy-failed',
    message: `Cannot connect to origin.test:443 ${through}: ${why}`,
    detail,
  })
  expect((error as Error).stack).not.toContain('S3CRET')
  await until(() => proxy.connections === 0)
})

const ENDLESS = Buffer.alloc(200_000, 'HTTP/1.1 200 OK\r\nX: y\r\n'.padEnd(64, 'y'))

test.each([
  ['http', 'answers in another language', 'SSH-2.0-OpenSSH\r\n', undefined],
  ['http', 'sends a head without end', ENDLESS, undefined],
  ['http', 'sends informational heads without end', 'HTTP/1.1 100 \r\n\r\n'.repeat(99), undefined],
  ['http', 'ends in the middle of a head', 'HTTP/1.1 2', (socket: Socket) => socket.end()],
  [
    'http',
    'resets',
    'HTTP/1.1 2',
    (socket: Socket) => setImmediate(() => socket.resetAndDestroy()),
  ],
  ['http', 'folds lines', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', undefined],
  ['socks5h', 'speaks HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', undefined],
  ['socks5h', 'ends', Buffer.of(5), (socket: Socket) => socket.end()],
  ['socks5h', 'wants a password', Buffer.of(5, 255), undefined],
])('connectThroughProxy() fails when an %s proxy %s', async (scheme, _, answer, then) => {
  await using proxy = await openAnsweringProxy(answer, then)

  await expect(connectThroughProxy(backend, proxyAt(proxy, scheme), TARGET)).rejects.toMatchObject({
    code: 'proxy-failed',
    message: expect.stringMatching(
      /^Cannot connect to origin.test:443 through the proxy /,
    ) as string,
  })
  await until(() => proxy.connections === 0)
})

test('connectThroughProxy() fails with proxy-failed, naming both, when there is no proxy', async () => {
  const gone = await LoopbackServer.open()
  const proxy = proxyAt(gone)
  await gone[Symbol.asyncDispose]()

  await expect(connectThroughProxy(backend, proxy, TARGET)).rejects.toMatchObject({
    code: 'proxy-failed',
    message: `Cannot connect to origin.test:443 through the proxy 127.0.0.1:${proxy.port}: no connection to the proxy: connection refused`,
  })
})

test.each(['http', 'socks5h'])(
  'connectThroughProxy() bounds the whole by one time limit when an %s proxy stalls',
  async (scheme) => {
    let asked = 0
    await using proxy = await LoopbackServer.open((socket) => socket.on('data', () => asked++))
    const clock = new FakeClock()
    const connecting = connectThroughProxy(
      new NodeBackend({ clock }),
      proxyAt(proxy, scheme),
      { ...TARGET, timeoutMs: 500 },
      { clock },
    )
    const outcome = expect(connecting).rejects.toMatchObject({
      phase: 'connect',
      timeoutMs: 500,
      message: expect.stringContaining('through the proxy') as string,
    })
    await until(() => asked > 0)

    clock.advance(499)
    await turn()
    expect(proxy.connections).toBe(1)
    clock.advance(1)

    await outcome
    await until(() => proxy.connections === 0)
    expect(clock.pending).toBe(0)
  },
)

test('connectThroughProxy() spends one time limit on the tunnel and on TLS behind it', async () => {
  let heard = 0
  await using origin = await LoopbackServer.open((socket) => socket.on('data', () => heard++))
  await using proxy = await openHttpProxy(origin.port)
  const clock = new FakeClock()
  const steps: string[] = []
  const connecting = connectThroughProxy(
    new NodeBackend({ clock }),
    proxyAt(proxy.server),
    {
      ...TARGET,
      tls: TRUSTING,
      timeoutMs: 500,
      onStep({ step, phase }) {
        steps.push(`${step} ${phase}`)
        if (step === 'proxy' && phase === 'start') clock.advance(400)
      },
    },
    { clock },
  )
  const outcome = expect(connecting).rejects.toMatchObject({ phase: 'connect', timeoutMs: 500 })
  await until(() => heard > 0)

  clock.advance(100)

  await outcome
  await until(() => proxy.server.connections === 0)
  expect(steps.at(-1)).toBe('tls error')
  expect(clock.pending).toBe(0)
})

test.each([
  ['http', TRUSTING],
  ['https', TRUSTING],
  ['socks5', undefined],
])('connectThroughProxy() by %s aborted at any moment leaves nothing open', async (scheme, tls) => {
  const certificate = tls === undefined ? undefined : ORIGIN_CERTIFICATE
  await using origin = await LoopbackServer.open((socket) => socket.resume(), certificate)
  await using proxy = scheme.startsWith('socks')
    ? await openSocksProxy(origin.port)
    : await openHttpProxy(origin.port, scheme === 'https')
  const clock = new FakeClock()
  const patient = new NodeBackend({ clock })
  const settings = { clock, resolver: resolverOf({ address: '192.0.2.1', family: 4 }) }
  for (let turns = 0, done = false; !done; turns++) {
    const abort = new AbortController()
    const steps: string[] = []
    const onStep = ({ step, phase }: ConnectStep): void => void steps.push(`${step} ${phase}`)
    const options = { ...TARGET, tls, onStep, signal: abort.signal }
    const outcome = connectThroughProxy(
      patient,
      proxyAt(proxy.server, scheme),
      options,
      settings,
    ).then(
      (stream) => stream,
      (reason: unknown) => reason,
    )
    for (let turned = 0; turned < turns; turned++) await turn()
    abort.abort('enough')
    const result = await outcome
    const told = steps.length

    done = result !== 'enough'
    if (done) (result as NetworkStream).close()
    await until(() => proxy.server.connections === 0 && origin.connections === 0)
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
    expect(clock.pending).toBe(0)
    expect(steps).toHaveLength(told)
    expect(steps.filter((step) => step.endsWith('start'))).toHaveLength(told / 2)
  }
})

test('connectThroughProxy() aborted beforehand opens nothing', async () => {
  await using proxy = await openHttpProxy(1)
  const signal = AbortSignal.abort('early')

  await expect(
    connectThroughProxy(backend, proxyAt(proxy.server), { ...TARGET, signal }),
  ).rejects.toBe('early')
  expect(proxy.asked).toEqual([])
})
