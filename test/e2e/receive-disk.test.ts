/** Disks that do not take what comes: full ones, ones with too little room, folders that are locked. */
import { spawnSync } from 'node:child_process'
import { chmod, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { seededContent } from '../support/receive-content.ts'
import { ReceiveChild } from '../support/receive-child.ts'
import { STEPS } from '../support/receive-steps.ts'
import { TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const PROTOCOLS = ['tus', 'ietf', 'indexedcp'] as const

/** Runs a command that sees a small file system in place of a folder, and nobody else does. */
function onSmallDisk(folder: string): string[] {
  const mount = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'
  return ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount, folder]
}

// Where nobody may mount, receive-full-disk.test.ts shows the same with a limit in place of a disk.
const [unshare, ...mountOptions] = [...onSmallDisk('/mnt'), 'true']
const isMountPermitted = spawnSync(unshare, mountOptions).status === 0

test.runIf(isMountPermitted)(
  'UploadServer keeps what came before the disk was full, and goes on when there is room',
  async () => {
    await using dir = await TempDir.create()
    const limits = { reserveBytes: 0 }
    await using server = await ReceiveChild.start(dir.path, { limits }, onSmallDisk(dir.path))
    const { url } = server
    const folder = `/proc/${server.pid}/root${dir.path}`
    const content = seededContent(5, 0, 3 * MIB)
    for (const protocol of PROTOCOLS) {
      const { begin, send, offset } = STEPS[protocol]
      const { place } = await begin(url, 'file.bin', content.length)
      await send(url, place, { content: content.subarray(0, MIB), offset: 0, isLast: false })
      await writeFile(join(folder, 'other'), Buffer.alloc(1.5 * MIB))

      const rest = { content: content.subarray(MIB), offset: MIB, isLast: true }
      expect(await send(url, place, rest), protocol).toBe(507)
      const kept = (await offset(url, place)) as number
      expect(kept, protocol).toBeGreaterThanOrEqual(MIB)
      expect(await readdir(folder), protocol).not.toContain('file.bin')
      await rm(join(folder, 'other'))
      const left = { content: content.subarray(kept), offset: kept, isLast: true }
      expect(await send(url, place, left), protocol).toBeLessThan(300)

      expect((await readFile(join(folder, 'file.bin'))).equals(content), protocol).toBe(true)
      await rm(join(folder, 'file.bin'))
    }
    expect(await server.stop()).toEqual([])
  },
)

test.runIf(isMountPermitted)(
  'UploadServer takes nothing that would use up the reserve',
  async () => {
    await using dir = await TempDir.create()
    const limits = { reserveBytes: 3 * MIB }
    await using server = await ReceiveChild.start(dir.path, { limits }, onSmallDisk(dir.path))
    const { url } = server

    for (const protocol of PROTOCOLS) {
      const { begin, send } = STEPS[protocol]
      expect((await begin(url, `${protocol}-large.bin`, 2 * MIB)).status).toBe(507)
      const { status, place } = await begin(url, `${protocol}.bin`, 10)
      expect(status).toBeLessThan(300)
      const piece = { content: Buffer.alloc(10, 1), offset: 0, isLast: true }
      expect(await send(url, place, piece)).toBeLessThan(300)
    }

    const names = await readdir(`/proc/${server.pid}/root${dir.path}`)
    expect(names.filter((name) => name.endsWith('.bin'))).toEqual(
      PROTOCOLS.map((protocol) => `${protocol}.bin`).toSorted(),
    )
  },
)

/** Permissions mean nothing to root: it has to give up the right to pass over them. */
const ASKED_FOR_PERMISSION =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-dac_override']
    : []

test('UploadServer goes on when a folder that could not be written can be again', async () => {
  await using dir = await TempDir.create()
  await using server = await ReceiveChild.start(dir.path, {}, ASKED_FOR_PERMISSION)
  const { url } = server
  const places: Record<string, string> = {}
  const content = seededContent(6, 0, 1000)
  for (const protocol of PROTOCOLS) {
    const { begin, send } = STEPS[protocol]
    places[protocol] = (await begin(url, `${protocol}.bin`, 1000)).place
    const piece = { content: content.subarray(0, 400), offset: 0, isLast: false }
    expect(await send(url, places[protocol] as string, piece)).toBeLessThan(300)
  }

  await chmod(dir.path, 0o555)
  await chmod(dir.join('.ferry/uploads'), 0o555)
  for (const protocol of PROTOCOLS) {
    const { begin, send } = STEPS[protocol]
    expect((await begin(url, `${protocol}-new.bin`, 10)).status).toBe(500)
    // All bytes come, and only the name cannot be given.
    const piece = { content: content.subarray(400), offset: 400, isLast: true }
    expect(await send(url, places[protocol] as string, piece)).toBe(500)
  }
  expect(await readdir(dir.path)).toEqual(['.ferry'])
  await chmod(dir.path, 0o755)
  await chmod(dir.join('.ferry/uploads'), 0o755)
  for (const protocol of PROTOCOLS) {
    const { send, offset } = STEPS[protocol]
    const place = places[protocol] as string
    const kept = await offset(url, place)
    expect(kept).toBe(1000)
    const nothing = { content: Buffer.alloc(0), offset: 1000, isLast: true }
    expect(await send(url, place, nothing)).toBeLessThan(300)
    expect((await readFile(dir.join(`${protocol}.bin`))).equals(content)).toBe(true)
  }
  // The server's own, and it has told.
  expect((await server.stop()).length).toBe(2 * PROTOCOLS.length)
})

test('UploadServer does not start on a folder that it cannot write', async () => {
  await using dir = await TempDir.create()
  await chmod(dir.path, 0o555)

  const starting = ReceiveChild.start(dir.path, {}, ASKED_FOR_PERMISSION)

  await expect(starting).rejects.toThrow('ended before it listened')
  expect(await readdir(dir.path)).toEqual([])
})
