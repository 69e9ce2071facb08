import { constants, createHash, publicEncrypt, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EncryptionKeys, type EncryptionKey } from './encryption-keys.ts'

const DAY_MS = 86_400_000
// Small, so that it is made at once.
const QUICK = { modulusBits: 2048 }

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'ferry-test-')), 'keys')
})
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))

function wrap({ publicKey }: EncryptionKey, secret: Buffer): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  return publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, secret)
}

test('EncryptionKeys makes a key when it is asked for, and opens what is encrypted to it', async () => {
  const keys = await EncryptionKeys.open({ ...QUICK, now: () => 1000 })
  const secret = randomBytes(32)

  const [key, again] = await Promise.all([keys.current(), keys.current()])

  expect(again).toEqual(key)
  expect(key.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
  const sha256 = createHash('sha256').update(key.publicKey).digest('hex')
  expect(key.kid).toBe(sha256.slice(0, 16))
  expect(key.expiresAt).toBe(1000 + 30 * DAY_MS)
  expect(await keys.unwrap(key.kid, wrap(key, secret))).toEqual(secret)
})

test('EncryptionKeys opens nothing that was changed, or is for another key', async () => {
  const keys = await EncryptionKeys.open(QUICK)
  const key = await keys.current()
  const wrapped = wrap(key, randomBytes(32))
  wrapped[7] = (wrapped[7] as number) ^ 1

  expect(await keys.unwrap(key.kid, wrapped)).toBeUndefined()
  expect(await keys.unwrap(key.kid, Buffer.from('short'))).toBeUndefined()
  expect(await keys.unwrap('0'.repeat(16), wrapped)).toBeUndefined()
})

test('EncryptionKeys keeps its keys in files that only their owner can read', async () => {
  const first = await (await EncryptionKeys.open({ ...QUICK, folder })).current()
  const names = await readdir(folder)

  const second = await (await EncryptionKeys.open({ ...QUICK, folder })).current()

  expect(second).toEqual(first)
  expect(names).toEqual([`${first.kid}.json`])
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect((await stat(join(folder, names[0] as string))).mode & 0o777).toBe(0o600)
})

test('EncryptionKeys.rotate() gives out a new key, and older ones go on to work', async () => {
  const secret = randomBytes(32)
  const before = await EncryptionKeys.open({ ...QUICK, folder })
  const old = await before.current()
  const fresh = await before.rotate()

  const after = await EncryptionKeys.open({ ...QUICK, folder })

  expect(fresh.kid).not.toBe(old.kid)
  expect(await after.current()).toEqual(fresh)
  expect(await after.unwrap(old.kid, wrap(old, secret))).toEqual(secret)
  expect(await after.unwrap(fresh.kid, wrap(fresh, secret))).toEqual(secret)
})

test('EncryptionKeys replaces a key in time, and removes old ones but the newest', async () => {
  let now = 1000
  const open = (): Promise<EncryptionKeys> =>
    EncryptionKeys.open({ ...QUICK, folder, now: () => now })
  const keys = await open()
  const first = await keys.current()
  now += 31 * DAY_MS
  const second = await keys.current()
  expect(second.kid).not.toBe(first.kid)
  expect(await keys.unwrap(first.kid, wrap(first, Buffer.from('x')))).toEqual(Buffer.from('x'))

  now += 100 * DAY_MS
  const later = await open()

  expect(await readdir(folder)).toEqual([`${second.kid}.json`])
  expect(await later.unwrap(first.kid, wrap(first, Buffer.from('x')))).toBeUndefined()
  expect(await later.unwrap(second.kid, wrap(second, Buffer.from('x')))).toEqual(Buffer.from('x'))
})

test('EncryptionKeys.open() clears what was being written, and refuses a file without a key', async () => {
  await EncryptionKeys.open({ folder })
  await writeFile(join(folder, '0123456789abcdef.json.new'), '{"format":1,"crea')
  await EncryptionKeys.open({ folder })
  expect(await readdir(folder)).toEqual([])

  await writeFile(join(folder, '0123456789abcdef.json'), '{"privateKey":"secret"}')

  await expect(EncryptionKeys.open({ folder })).rejects.toMatchObject({
    option: 'encryption',
    message: expect.not.stringContaining('secret') as string,
  })
  expect(await readFile(join(folder, '0123456789abcdef.json'), 'utf8')).toContain('secret')
})
