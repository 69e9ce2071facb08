import { expect, test } from 'vitest'
import type { ReceiveOptions } from './receive-options.ts'
import { readSettings } from './receive-settings.ts'

const OPTIONS: ReceiveOptions = {
  dir: '.',
  onExists: 'rename',
  pathMode: 'ignore',
  maxUploads: 10_000,
  expire: '7d',
  finishAfter: '10m',
  ack: 'durable',
  port: 3000,
  host: '127.0.0.1',
  timeout: 30,
}

test('readSettings() gives what the options say, and leaves the rest to the server', async () => {
  const settings = await readSettings({
    ...OPTIONS,
    onExists: 'fail',
    ack: 'written',
    maxSize: '2G',
    maxPerKey: 3,
    quota: '1M',
    reserve: '5M',
    minRate: '1K',
    limitRate: '3M',
    maxRequests: 20,
    maxConnections: 100,
    encryption: true,
    expire: '12h',
    finishAfter: '90s',
    timeout: 5,
    doors: 'tus,ietf',
    mount: '/api/v1',
    cors: ['https://a.example', 'http://localhost:8080'],
  })

  expect(settings).toMatchObject({
    doors: ['tus', 'ietf'],
    mount: '/api/v1',
    cors: { origins: ['https://a.example', 'http://localhost:8080'] },
    indexedcp: { pathMode: 'ignore', finishAfterMs: 90_000 },
    limits: { requestsPerSecond: 20, bytesPerSecond: 3_145_728 },
    maxConnections: 100,
    encryption: true,
    uploads: {
      ack: 'written',
      collision: 'fail',
      expiresInMs: 43_200_000,
      limits: {
        maxUploadBytes: 2_147_483_648,
        maxUploads: 10_000,
        maxUploadsPerOwner: 3,
        maxBytesPerOwner: 1_048_576,
        reserveBytes: 5_242_880,
        idleTimeoutMs: 5000,
        minBytesPerSecond: 1024,
      },
    },
  })
  expect(Object.keys(await readSettings(OPTIONS)).toSorted()).toEqual([
    'ietf',
    'indexedcp',
    'limits',
    'tus',
    'uploads',
  ])
})

test.each<[Partial<ReceiveOptions>, string]>([
  [{ maxSize: 'much' }, 'Cannot use "much" for --max-size: expected bytes, like 500K or 2M'],
  [{ quota: '-1' }, 'Cannot use "-1" for --quota: expected bytes, like 500K or 2M'],
  [{ expire: '7' }, 'Cannot use "7" for --expire: expected a time like 90s, 30m, 12h or 7d'],
  [{ expire: '0d' }, 'Cannot use "0d" for --expire: expected a time like 90s, 30m, 12h or 7d'],
  [
    { finishAfter: '1w' },
    'Cannot use "1w" for --finish-after: expected a time like 90s, 30m, 12h or 7d',
  ],
  [{ doors: 'tus,ftp' }, 'Cannot use "tus,ftp" for --doors: expected some of indexedcp,tus,ietf'],
  [{ doors: '' }, 'Cannot use "" for --doors: expected some of indexedcp,tus,ietf'],
  [{ mount: 'api/' }, 'Cannot use "api/" for --mount: expected a path like /api'],
  [{ mount: '/' }, 'Cannot use "/" for --mount: expected a path like /api'],
  [
    { cors: ['https://a.example', 'a.example'] },
    'Cannot use "a.example" for --cors: expected an origin like https://app.example, or *',
  ],
  [
    { cors: ['https://a.example/'] },
    'Cannot use "https://a.example/" for --cors: expected an origin like https://app.example, or *',
  ],
  [{ tlsKey: 'key.pem' }, 'Cannot use --tls-key without --tls-cert'],
  [
    { tlsCert: '/nowhere/cert.pem' },
    'Cannot read /nowhere/cert.pem for --tls-cert: there is no such file',
  ],
])('readSettings() refuses %j', async (options, message) => {
  await expect(readSettings({ ...OPTIONS, ...options })).rejects.toMatchObject({
    code: 'config',
    message,
  })
})

test('readSettings() takes * for every origin', async () => {
  const { cors } = await readSettings({ ...OPTIONS, cors: ['https://a.example', '*'] })

  expect(cors?.origins).toBe('*')
})

test('readSettings() gives --path-mode to the protocols that have none of their own', async () => {
  const choose = async (pathMode: ReceiveOptions['pathMode'], name: string | undefined) => {
    const { tus, ietf } = await readSettings({ ...OPTIONS, pathMode })
    expect(tus).toBe(ietf)
    const wanted = { name, metadata: {}, owner: undefined, door: 'tus' }
    return tus?.chooseName?.(wanted)
  }

  expect((await readSettings(OPTIONS)).tus?.chooseName).toBeUndefined()
  expect(await choose('allow-paths', 'a\\b/c.txt')).toBe('a/b/c.txt')
  expect(await choose('allow-paths', undefined)).toBeUndefined()
  expect(await choose('sanitize', '')).toBeUndefined()
  expect(await choose('sanitize', 'a..b.txt')).toBe('a..b.txt')
  for (const name of ['../a', 'a/../b', '/a', '\\a', 'C:\\a']) {
    await expect(choose('allow-paths', name)).rejects.toMatchObject({ code: 'name-refused' })
  }
  await expect(choose('sanitize', 'a/b')).rejects.toMatchObject({ code: 'name-refused' })
})
