/**
 * The cache of the client in front of servers that make validators and lifetimes themselves: nginx,
 * Apache, and node:http that says what the path tells it to.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest, type HttpResponse } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  cacheResponses,
  type CacheOptions,
} from '../../packages/ferry/src/client/cache/cache-responses.ts'
import { cacheUseOf } from '../../packages/ferry/src/client/cache/cache-use.ts'
import { openSqliteCacheStore } from '../../packages/ferry/src/client/cache/sqlite-cache-store.ts'
import { sendThrough } from '../../packages/ferry/src/client/interceptor.ts'
import { ServerProcess } from '../support/server-process.ts'
import { TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const TEXT = 'some text that a server is asked for again and again\n'.repeat(100)
const TWO_HOURS_MS = 7_200_000

type Fields = Record<string, string>

/** What the cache does with the first request, the second, and one two hours later. */
interface Row {
  readonly path: string
  readonly asked?: Fields
  readonly uses: readonly [string, string, string]
}

const LIFETIME = ['server', 'fresh', 'revalidated'] as const
const VALIDATOR = ['server', 'revalidated', 'revalidated'] as const
const NOTHING = ['server', 'server', 'server'] as const

const SERVER_ROWS: readonly Row[] = [
  { path: '/hour/file.txt', uses: LIFETIME },
  { path: '/hour/file.txt', asked: { 'Cache-Control': 'no-cache' }, uses: VALIDATOR },
  {
    path: '/hour/file.txt',
    asked: { 'Cache-Control': 'max-stale' },
    uses: ['server', 'fresh', 'stale'],
  },
  { path: '/hour/file.txt', asked: { 'Cache-Control': 'no-store' }, uses: NOTHING },
  { path: '/hour/file.txt', asked: { Range: 'bytes=0-9' }, uses: NOTHING },
  { path: '/hour/file.txt', asked: { 'Accept-Encoding': 'gzip' }, uses: LIFETIME },
  { path: '/hour/none.txt', uses: NOTHING },
  { path: '/date/file.txt', uses: LIFETIME },
  { path: '/past/file.txt', uses: VALIDATOR },
  { path: '/plain/file.txt', uses: VALIDATOR },
  { path: '/never/file.txt', uses: NOTHING },
]

const NODE_ROWS: readonly Row[] = [
  { path: '/max-age=3600', uses: ['server', 'fresh', 'server'] },
  { path: '/max-age=3600/tag', uses: LIFETIME },
  { path: '/no-cache/tag', uses: VALIDATOR },
  { path: '/no-store/tag', uses: NOTHING },
  { path: '/private, max-age=3600/tag', uses: LIFETIME },
  { path: '/max-age=3600, must-revalidate/tag', uses: LIFETIME },
  { path: '/max-age=3600, no-cache/tag', uses: VALIDATOR },
  { path: '/max-age=10000/tag', uses: ['server', 'fresh', 'fresh'] },
  { path: '/MAX-AGE="3600"/tag', uses: LIFETIME },
]

describe('nginx', () => {
  describeServer(startNginx, SERVER_ROWS)
})
describe('apache', () => {
  describeServer(startApache, SERVER_ROWS)
})
describe('node', () => {
  describeServer(startNode, NODE_ROWS)
})

interface CachedServer extends AsyncDisposable {
  readonly port: number
}

function describeServer(start: () => Promise<CachedServer>, rows: readonly Row[]): void {
  let server: CachedServer
  beforeAll(async () => void (server = await start()))
  afterAll(() => server[Symbol.asyncDispose]())

  for (const { path, asked = {}, uses } of rows) {
    const request = Object.entries(asked).map(([name, value]) => ` with ${name}: ${value}`)
    test(`${path}${request.join('')}: ${uses.join(', ')}`, async () => {
      await using folder = await TempDir.create()
      await using store = await openSqliteCacheStore(folder.join('cache.sqlite'))
      await using client = new CachingClient({ store })
      const url = new URL(path, `http://127.0.0.1:${server.port}`)

      const first = await client.get(url, asked)
      const second = await client.get(url, asked)
      client.laterMs = TWO_HOURS_MS
      const third = await client.get(url, asked)

      expect([first, second, third].map(({ use }) => use)).toEqual(uses)
      expect(second.text).toBe(first.text)
      expect(third.text).toBe(first.text)
      expect(second.status).toBe(first.status)
    })
  }
}

test('nginx: what is coded differently is stored beside each other', async () => {
  await using server = await startNginx()
  await using client = new CachingClient()
  const url = new URL(`http://127.0.0.1:${server.port}/hour/file.txt`)
  const uses: string[] = []
  for (const asked of [{}, { 'Accept-Encoding': 'gzip' }, {}, { 'Accept-Encoding': 'gzip' }]) {
    const { use, text } = await client.get(url, asked)
    uses.push(`${text === TEXT ? 'text' : 'coded'} ${use}`)
  }

  expect(uses).toEqual(['text server', 'coded server', 'text fresh', 'coded fresh'])
})

test('a server that is gone is replaced by what it said last', async () => {
  const server = await startNginx()
  await using client = new CachingClient({ staleIfErrorMs: TWO_HOURS_MS })
  const url = new URL(`http://127.0.0.1:${server.port}/hour/file.txt`)
  await client.get(url)
  await server[Symbol.asyncDispose]()
  client.laterMs = TWO_HOURS_MS

  expect(await client.get(url)).toMatchObject({ use: 'stale', text: TEXT })
})

/** A pool with a cache in front of it, whose clock can be put on. */
class CachingClient implements AsyncDisposable {
  readonly #pool = new ConnectionPool()
  readonly #cache: ReturnType<typeof cacheResponses>
  laterMs = 0

  constructor(options: CacheOptions = {}) {
    this.#cache = cacheResponses({ ...options, now: () => Date.now() + this.laterMs })
  }

  async get(url: URL, fields: Fields = {}): Promise<{ use: string; status: number; text: string }> {
    const request = new HttpRequest('GET', url, { headers: fields })
    const response: HttpResponse = await sendThrough([this.#cache], request, {
      attempt: 1,
      signal: undefined,
      send: (one) => this.#pool.request(one),
    })
    const text = (await response.body.bytes()).toString('latin1')
    return { use: cacheUseOf(response) ?? 'server', status: response.status, text }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close()
  }
}

async function startNginx(): Promise<CachedServer> {
  const server = await ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 1,
    configure: async (folder, [port]) => {
      await folder.write('file.txt', TEXT)
      const config = `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder.path}/nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  types { text/plain txt; }
  gzip_types text/plain;
  gzip_vary on;
  server {
    listen 127.0.0.1:${port};
    location /hour/ { alias ${folder.path}/; etag on; expires 1h; gzip on; }
    location /date/ { alias ${folder.path}/; etag off; expires 1h; }
    location /past/ { alias ${folder.path}/; expires epoch; }
    location /plain/ { alias ${folder.path}/; expires off; }
    location /never/ { alias ${folder.path}/; add_header Cache-Control no-store; }
  }
}
`
      const path = await folder.write('nginx.conf', config)
      return ['-p', folder.path, '-c', path, '-e', 'stderr']
    },
  })
  return toCachedServer(server)
}

async function startApache(): Promise<CachedServer> {
  const modules = [
    'mpm_event',
    'authz_core',
    'alias',
    'expires',
    'headers',
    'mime',
    'filter',
    'deflate',
  ]
  const server = await ServerProcess.start({
    name: 'apache',
    path: requireTool('apache2'),
    portCount: 1,
    configure: async (folder, [port]) => {
      await folder.write('file.txt', TEXT)
      const location = (name: string, settings: string): string => `
Alias /${name}/ ${folder.path}/
<Location /${name}/>
  ${settings}
</Location>`
      const config = `
ServerRoot ${folder.path}
ServerName ferry.test
DefaultRuntimeDir ${folder.path}
PidFile ${folder.path}/apache.pid
ErrorLog /dev/stderr
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
TypesConfig /dev/null
AddType text/plain .txt
DeflateAlterETag NoChange
Listen 127.0.0.1:${port}
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
StartServers 1
<Directory ${folder.path}>
  Require all granted
</Directory>
${location('hour', 'ExpiresActive on\nExpiresDefault "access plus 1 hour"\nSetOutputFilter DEFLATE')}
${location('date', 'ExpiresActive on\nExpiresDefault "access plus 1 hour"\nFileETag None')}
${location('past', 'ExpiresActive on\nExpiresDefault "access"')}
${location('plain', '')}
${location('never', 'Header set Cache-Control no-store')}
`
      return ['-f', await folder.write('apache.conf', config), '-DFOREGROUND']
    },
  })
  return toCachedServer(server)
}

function toCachedServer(server: ServerProcess): CachedServer {
  return {
    port: server.ports[0] as number,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Cache-Control is the first part of the path; a second one asks for an ETag. */
async function startNode(): Promise<CachedServer> {
  const server: Server = createServer(({ url = '', headers }, response) => {
    const [, control = '', tag] = decodeURIComponent(url).split('/')
    response.setHeader('Cache-Control', control)
    if (tag !== undefined) response.setHeader('ETag', `"${tag}"`)
    if (tag !== undefined && headers['if-none-match'] === `"${tag}"`) response.statusCode = 304
    response.end(response.statusCode === 304 ? undefined : TEXT)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<unknown>((resolve) => server.close(resolve))
    },
  }
}
