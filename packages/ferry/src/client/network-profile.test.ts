import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { loadNetworkProfile, type NetworkProfile } from './network-profile.ts'
import type { Environment } from './proxy-environment.ts'

const SERVER = createCertificate('IP:127.0.0.1')
const CLIENT = createCertificate('DNS:client.test')
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'

const FULL = `
spec-version: v1
current-profile: office
profiles:
  - name: home
    description: No proxies
  - name: office
    description: Behind the wall
    disable-ssl: false
    proxy-settings:
      http-proxy: http://user:p%40ss@proxy.test:3128
      https-proxy: proxy.test:3129
      no-proxy: localhost, .internal.test
      authentication:
        auth-type: none
        oauth-client-secret: hidden
        other-oauth-params: { scope: all }
`

/** Writes a settings file beside the files given and loads it. */
async function load(
  text: string,
  options: { name?: string; env?: Environment; files?: Record<string, string> } = {},
): Promise<NetworkProfile | undefined> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-profile-'))
  const path = join(folder.path, 'settings.yaml')
  await writeFile(path, text)
  for (const [name, content] of Object.entries(options.files ?? {})) {
    await writeFile(join(folder.path, name), content)
  }
  return await loadNetworkProfile({ path, name: options.name, env: options.env ?? {} })
}

/** Where a profile sends a URL. */
function wayOf(profile: NetworkProfile | undefined, url: string): string | undefined {
  const choice = profile?.proxy?.(HttpUrl.parse(url).origin)
  return typeof choice === 'string' ? choice : choice?.url
}

test('loadNetworkProfile() gives the current profile', async () => {
  const profile = await load(FULL)

  expect(profile).toMatchObject({
    name: 'office',
    description: 'Behind the wall',
    tls: {},
    noProxy: ['localhost', '.internal.test'],
    warnings: [],
  })
  expect(wayOf(profile, 'http://a.test/')).toBe('http://user:p%40ss@proxy.test:3128')
  expect(wayOf(profile, 'https://a.test/')).toBe('http://proxy.test:3129')
  expect(wayOf(profile, 'http://localhost:8080/')).toBeUndefined()
  expect(wayOf(profile, 'https://a.internal.test/')).toBeUndefined()
})

test('loadNetworkProfile() gives another profile by its name', async () => {
  const profile = await load(FULL, { name: 'home' })

  expect(profile).toMatchObject({ name: 'home', proxy: undefined, noProxy: [], tls: {} })
})

test('loadNetworkProfile() finds the file by the environment, else at its default place', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-profile-'))
  const path = join(folder.path, 'mine.yaml')
  await writeFile(path, FULL)

  const named = await loadNetworkProfile({ env: { FERRY_NETWORK_SETTINGS: path } })
  const missing = loadNetworkProfile({ env: { FERRY_NETWORK_SETTINGS: `${path}.not` } })

  expect(named?.path).toBe(path)
  await expect(missing).rejects.toMatchObject({ option: 'FERRY_NETWORK_SETTINGS' })
  await expect(loadNetworkProfile({ path: `${path}.not`, env: {} })).rejects.toMatchObject({
    option: 'path',
    message: `Cannot read the network settings ${path}.not: ENOENT`,
  })
})

test('loadNetworkProfile() gives nothing without a file, or without a current profile', async () => {
  const home = process.env['HOME']
  await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-profile-'))
  process.env['HOME'] = folder.path
  try {
    expect(await loadNetworkProfile({ env: {} })).toBeUndefined()
  } finally {
    process.env['HOME'] = home
  }
  expect(await load('current-profile:\nprofiles: []\n')).toBeUndefined()
})

test('loadNetworkProfile() with disable-ssl accepts any certificate, of a proxy too', async () => {
  const greet = (socket: Socket): void =>
    void socket.once('data', () => {
      socket.end(HELLO)
    })
  await using server = await LoopbackServer.open(greet, SERVER)
  const text = (disable: boolean): string => `
current-profile: a
profiles:
  - name: a
    disable-ssl: ${disable}
    proxy-settings: { http-proxy: 'https://127.0.0.1:${server.port}' }
`
  const get = async (disable: boolean, url: string): Promise<number> => {
    const profile = await load(text(disable))
    await using pool = new ConnectionPool({
      tls: profile?.tls,
      proxy: profile?.proxy,
      http2: 'off',
    })
    const response = await pool.request(new HttpRequest('GET', url))
    await response.body.bytes()
    return response.status
  }

  const secure = `https://127.0.0.1:${server.port}/`
  expect(await get(true, secure)).toBe(200)
  expect(await get(true, 'http://a.test/')).toBe(200)
  await expect(get(false, secure)).rejects.toMatchObject({ code: 'tls-failed' })
  await expect(get(false, 'http://a.test/')).rejects.toMatchObject({ code: 'tls-failed' })
})

test('loadNetworkProfile() shows the client certificate and trusts ca-file', async () => {
  const seen = Promise.withResolvers<string | undefined>()
  const settings = { ...SERVER, ca: CLIENT.cert, requestCert: true, rejectUnauthorized: true }
  const server = createServer(settings, (socket) => {
    seen.resolve(socket.getPeerX509Certificate()?.subjectAltName)
    socket.once('data', () => socket.end(HELLO))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const { createPrivateKey } = await import('node:crypto')
  const encrypted = createPrivateKey(CLIENT.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'open sesame',
  })
  const profile = await load(
    `
current-profile: a
profiles:
  - name: a
    ca-file: ca.pem
    client-certificate: { cert: cert.pem, key: key.pem, passphrase-env: KEY_PASSPHRASE }
    proxy-settings: { authentication: { auth-type: os-certificate } }
`,
    {
      env: { KEY_PASSPHRASE: 'open sesame' },
      files: { 'ca.pem': SERVER.cert, 'cert.pem': CLIENT.cert, 'key.pem': String(encrypted) },
    },
  )

  await using pool = new ConnectionPool({ tls: profile?.tls, http2: 'off' })
  const response = await pool.request(new HttpRequest('GET', `https://127.0.0.1:${port}/`))
  await response.body.bytes()

  expect(await seen.promise).toBe('DNS:client.test')
  expect(profile?.warnings).toEqual([])
  await pool.close()
  await new Promise((resolve) => server.close(resolve))
})

test('loadNetworkProfile() lets the environment replace the proxies of the profile', async () => {
  const profile = await load(FULL, { env: { https_proxy: 'other.test:1', no_proxy: 'b.test' } })

  expect(wayOf(profile, 'https://a.test/')).toBe('http://other.test:1')
  expect(wayOf(profile, 'https://b.test/')).toBeUndefined()
  expect(wayOf(profile, 'http://a.test/')).toBeUndefined()
})

test('loadNetworkProfile() adds NO_PROXY to the list of the profile', async () => {
  const profile = await load(FULL, { env: { NO_PROXY: 'b.test' } })

  expect(wayOf(profile, 'http://b.test/')).toBeUndefined()
  expect(wayOf(profile, 'http://localhost/')).toBeUndefined()
  expect(wayOf(profile, 'http://a.test/')).toBe('http://user:p%40ss@proxy.test:3128')
})

test('loadNetworkProfile() hears the environment on old servers', async () => {
  const profile = await load(FULL, { env: { FERRY_TLS_LEGACY_SERVER_CONNECT: '1' } })

  expect(profile?.tls).toEqual({ legacyServerConnect: true })
})

test('loadNetworkProfile() warns of unknown keys, of several proxies and of os-certificate', async () => {
  const profile = await load(`
current-profile: a
profiles:
  - name: a
    no-proxy: misplaced.test
    proxy-settings:
      http-proxy: [one.test, two.test]
      no-proxy:
        - a.test
        - 10.0.0.0/8
      authentication: { auth-type: os-certificate, user: me }
colour: green
`)

  expect(profile?.noProxy).toEqual(['a.test', '10.0.0.0/8'])
  const path = profile?.path
  expect(profile?.warnings).toEqual([
    `line 12 of ${path}: the key colour is not known`,
    `line 7 of ${path}: only the first of several proxies of http-proxy is used`,
    `line 11 of ${path}: no certificate of the operating system is shown; name one in client-certificate`,
    `line 11 of ${path}: the key profiles.proxy-settings.authentication.user is not known`,
    `line 5 of ${path}: the key profiles.no-proxy is not known`,
  ])
})

const profileWith = (lines: string): string =>
  `current-profile: a\nprofiles:\n  - name: a\n    ${lines}\n`

test.each([
  ['a: 1\n\tb: secret', 'line 2', 'not readable as YAML'],
  ['a: secret\n b: secret', 'line 1', 'not readable as YAML'],
  ['- secret', 'line 1', 'expected a mapping with profiles'],
  ['', 'line 1', 'expected a mapping with profiles'],
  ['current-profile: a', 'line 1', 'profiles: expected a list'],
  ['current-profile: a\nprofiles: 3', 'line 2', 'profiles: expected a list'],
  ['current-profile: a\nprofiles: [secret]', 'line 2', 'profiles: expected a list of mappings'],
  ['profiles: []\ncurrent-profile: b', 'line 2', 'no profile is called "b", there is none'],
  [profileWith('disable-ssl: "secret"'), 'line 4', 'disable-ssl: expected true or false'],
  [profileWith('proxy-settings: secret'), 'line 4', 'proxy-settings: expected a mapping'],
  [profileWith('ca-file: { secret: 1 }'), 'line 4', 'ca-file: expected a text'],
  [profileWith('ca-file: nowhere.pem'), 'line 4', 'nowhere.pem: ENOENT'],
  [profileWith('client-certificate: { cert: settings.yaml }'), 'line 4', 'key: expected the path'],
  [
    profileWith('client-certificate: { passphrase-env: NOT_SET }'),
    'line 4',
    'the environment has no variable NOT_SET',
  ],
  [profileWith('proxy-settings: { http-proxy: socks4://u:secret@a }'), 'line 4', 'got socks4:'],
  [profileWith('proxy-settings: { http-proxy: [{ secret: 1 }] }'), 'line 4', 'or a list of texts'],
  [profileWith('proxy-settings: { no-proxy: 10.0.0.0/40 }'), 'line 4', '"10.0.0.0/40"'],
  [
    profileWith('proxy-settings: { authentication: { auth-type: oauth } }'),
    'line 4',
    'oauth is not',
  ],
  [
    profileWith('proxy-settings: { authentication: { auth-type: secret } }'),
    'line 4',
    'expected none',
  ],
  [profileWith('disable-ssl: false\n  - name: a'), 'line 5', 'a second profile is called "a"'],
])('loadNetworkProfile() refuses %j with its line', async (text, line, why) => {
  const loading = load(text)

  await expect(loading).rejects.toMatchObject({ code: 'config' })
  const message = await loading.catch((error: Error) => error.message)
  expect(message).toContain(line)
  expect(message).toContain(why)
  expect(message).not.toContain('secret')
  expect(message).not.toContain('\n')
})

test('loadNetworkProfile() says which profiles there are', async () => {
  await expect(load(FULL, { name: 'moon' })).rejects.toMatchObject({
    option: 'name',
    message:
      'Cannot choose a network profile: no profile is called "moon", there is "home", "office"',
  })
})

test('the example in docs/network-settings.md can be loaded', async () => {
  const page = await readFile(
    new URL('../../../../docs/network-settings.md', import.meta.url),
    'utf8',
  )
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? ''

  const profile = await load(example, {
    env: { CLIENT_KEY_PASSPHRASE: 'x' },
    files: { 'ca.pem': SERVER.cert, 'client.pem': CLIENT.cert, 'client.key': CLIENT.key },
  })

  expect(profile?.warnings).toEqual([])
  expect(wayOf(profile, 'https://a.test/')).toBe('http://proxy.example.org:3128')
})
