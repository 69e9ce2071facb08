import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { hashKey, KeyRing, readKeyFile, reloadKeyFile } from './keys.ts'
import { UploadServer, type UploadFolderServerOptions } from './upload-server.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const KEYS = [
  { owner: 'ann', sha256: hashKey('ann') },
  { owner: 'bob', sha256: hashKey('bob'), folder: 'of bob/files' },
]

function open(options: UploadFolderServerOptions = {}): Promise<UploadServer> {
  return UploadServer.open(join(folder, 'uploads'), { keys: new KeyRing(KEYS), ...options })
}

function send(
  url: string,
  key: string,
  body: string | Buffer<ArrayBuffer> = 'abc',
  name = `${key}.txt`,
): Promise<Response> {
  const headers = { Authorization: `Bearer ${key}`, 'X-File-Name': name }
  return fetch(`${url}/upload`, { method: 'POST', body, headers })
}

test('UploadServer answers 429 to too many requests, and says when to come back', async () => {
  const clock = new FakeClock()
  await using server = await open({ clock, limits: { requestsPerSecond: 0.25, burst: 2 } })
  const url = await server.listen()

  const statuses = [await send(url, 'ann'), await send(url, 'ann'), await send(url, 'bob')]
  const refused = await send(url, 'ann', 'x'.repeat(1_000_000))
  clock.advance(4000)
  const later = await send(url, 'ann')

  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200])
  expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '4'])
  expect(await refused.json()).toMatchObject({ error: 'Too many requests' })
  expect(later.status).toBe(200)
})

test('UploadServer answers 429 to an address that tries many keys', async () => {
  await using server = await open({ clock: new FakeClock(), limits: { wrongKeysPerMinute: 3 } })
  const url = await server.listen()
  expect((await send(url, 'ann')).status).toBe(200)

  const statuses: number[] = []
  for (let n = 0; n < 5; n++) statuses.push((await send(url, `guess${n}`)).status)

  expect(statuses).toEqual([401, 401, 401, 429, 429])
  expect((await send(url, 'bob')).status).toBe(429)
  expect((await send(url, 'ann')).status).toBe(200)
})

test('UploadServer holds content back that comes too fast, of one owner and not of others', async () => {
  const clock = new FakeClock()
  await using server = await open({ clock, limits: { bytesPerSecond: 20_000 } })
  const url = await server.listen()
  const content = Buffer.alloc(200_000, 'a')
  const startedAt = clock.now()
  let isDone = false
  const reply = send(url, 'ann', content).finally(() => {
    isDone = true
  })
  await expect.poll(() => clock.pending).toBeGreaterThan(0)

  const other = await send(url, 'bob')
  expect([other.status, isDone]).toEqual([200, false])
  while (!isDone) {
    clock.advance(100)
    await sleep(1)
  }

  expect((await reply).status).toBe(200)
  // All but what came with the last read had to wait.
  expect(clock.now() - startedAt).toBeGreaterThan(((200_000 - 70_000) / 20_000) * 1000)
  expect(await readFile(join(folder, 'uploads/ann.txt'))).toEqual(content)
  // The connection is as good as new.
  expect((await send(url, 'ann', 'more', 'b.txt')).status).toBe(200)
})

test('UploadServer puts the files of a key into its folder, by whichever door they come', async () => {
  await using server = await open()
  const url = await server.listen()
  const headers = {
    Authorization: 'Bearer bob',
    'Tus-Resumable': '1.0.0',
    'Content-Type': 'application/offset+octet-stream',
    'Upload-Length': '3',
  }
  const tus = (name: string): Promise<Response> =>
    fetch(`${url}/files`, {
      method: 'POST',
      body: 'tus',
      headers: {
        ...headers,
        'Upload-Metadata': `filename ${Buffer.from(name).toString('base64')}`,
      },
    })

  const first = await send(url, 'bob', 'abc', '../../x.txt')
  await tus('../y.txt')
  await tus('..')
  await fetch(`${url}/files`, {
    method: 'POST',
    body: 'ietf',
    headers: {
      Authorization: 'Bearer bob',
      'Upload-Complete': '?1',
      'Content-Disposition': 'attachment; filename="z.txt"',
    },
  })
  await send(url, 'ann')

  expect(await first.json()).toMatchObject({ actualFilename: 'of bob/files/x.txt' })
  expect((await readdir(join(folder, 'uploads/of bob/files'))).toSorted()).toEqual([
    'upload',
    'x.txt',
    'y.txt',
    'z.txt',
  ])
  expect((await readdir(join(folder, 'uploads'))).toSorted()).toEqual([
    '.ferry',
    'ann.txt',
    'of bob',
  ])
})

test('UploadServer lets the keys of a file in that was changed, once it is read again', async () => {
  const path = join(folder, 'keys')
  await writeFile(path, 'ann one\n', { mode: 0o600 })
  const keys = await readKeyFile(path)
  await using server = await open({ keys })
  const url = await server.listen()
  const statuses = async (): Promise<number[]> => [
    (await send(url, 'one')).status,
    (await send(url, 'two')).status,
  ]
  expect(await statuses()).toEqual([200, 401])

  await writeFile(path, 'ann two\n', { mode: 0o600 })
  await reloadKeyFile(path, keys)
  expect(await statuses()).toEqual([401, 200])
  await writeFile(path, 'one two three four\n')
  await expect(reloadKeyFile(path, keys)).rejects.toMatchObject({ option: 'keyFile' })

  expect(await statuses()).toEqual([401, 200])
})

test('the largest upload is said once, and told by every door', async () => {
  await using server = await open({ uploads: { limits: { maxUploadBytes: 1000 } } })
  const url = await server.listen()

  const { headers } = await fetch(`${url}/files`, { method: 'OPTIONS' })
  const refused = await send(url, 'ann', 'x'.repeat(1001))

  expect(headers.get('Tus-Max-Size')).toBe('1000')
  expect(headers.get('Upload-Limit')).toContain('max-size=1000')
  expect(refused.status).toBe(413)
})

test('UploadServer refuses limits that cannot be kept', async () => {
  await expect(open({ limits: { bytesPerSecond: 0 } })).rejects.toMatchObject({
    option: 'bytesPerSecond',
  })
  // Its folder is free again.
  await using server = await open()
  expect(server.url).toBeUndefined()
})
