/** `ferry put` against other servers: IndexedCP of each generation, and the reference server of tus. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { OldServer } from '../support/indexedcp-servers.ts'
import { listOutbox, runPut, startPut } from '../support/put-site.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { TusReferenceServer } from '../support/tus-reference-server.ts'

const CONTENT = randomBytes(1_500_000)
const CANNOT_TELL = 'The server cannot tell what it has'

describe.concurrent('ferry put', () => {
  test.each([
    { generation: 'the first Node servers', open: () => OldServer.openNode1(), name: 'a.bin' },
    {
      generation: 'the simple Node server',
      open: () => OldServer.openSimple(),
      name: 'uploaded_file.txt',
    },
    { generation: 'the Python server', open: () => OldServer.openPython(), name: 'a.bin' },
  ])('delivers to $generation', async ({ open, name }) => {
    await using server = await open()
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)

    const run = await runPut(dir, ['a.bin', server.url], { env: { INDEXCP_API_KEY: server.key } })

    expect(run.exitCode).toBe(0)
    expect(digestOf(server.content(name))).toBe(digestOf(CONTENT))
    expect(server.chunks).toEqual([0, 1])
    expect(await listOutbox(dir)).toEqual([])
  })

  test('mixes no files of one name that a server appends to one', async () => {
    await using server = await OldServer.openNode1()
    await using dir = await TempDir.create()
    const halves = [CONTENT.subarray(0, 700_000), CONTENT.subarray(700_000)] as const
    for (const [index, half] of halves.entries()) {
      await mkdir(dir.join(`${index}`))
      await dir.write(`${index}/a.bin`, half)
    }
    const args = ['--chunk-size', '64K', '0/a.bin', '1/a.bin', server.url]

    const run = await runPut(dir, args, { env: { INDEXCP_API_KEY: server.key } })

    expect(run.exitCode).toBe(0)
    expect(digestOf(server.content('a.bin'))).toBe(digestOf(CONTENT))
  })

  test('Ctrl-C leaves no chunk in doubt at a server that cannot be asked', async () => {
    await using server = await OldServer.openNode1()
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const env = { INDEXCP_API_KEY: server.key }
    const args = ['--chunk-size', '128K', 'a.bin', server.url]
    await using first = startPut(dir, [...args, '--limit-rate', '100K'], { env })
    await expect.poll(() => server.chunks.length, { timeout: 60_000 }).toBeGreaterThan(1)

    first.kill('SIGINT')
    const interrupted = await first.exit
    const again = await runPut(dir, args, { env })

    expect(interrupted.exitCode).toBe(130)
    expect(interrupted.stderr).toContain(CANNOT_TELL)
    expect(interrupted.stderr).toContain('Finishing the chunk that is on its way')
    expect(again.exitCode).toBe(0)
    expect(again.stdout).toContain(' were there already, ')
    expect(digestOf(server.content('a.bin'))).toBe(digestOf(CONTENT))
  })

  test('stops where an answer was lost, and sends the piece again only when asked to', async () => {
    await using server = await OldServer.openNode1()
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const env = { INDEXCP_API_KEY: server.key }
    server.lostAnswers = 1

    const stopped = await runPut(dir, ['a.bin', server.url], { env })
    const kept = await listOutbox(dir)
    const again = await runPut(dir, ['--on-doubt', 'resend', 'a.bin', server.url], { env })

    expect(stopped.exitCode).toBe(21)
    expect(stopped.notes).toMatch(
      /ferry: Cannot go on sending "a\.bin" .* Look at the file at the server; --on-doubt resend sends the piece again, which may double it\.\n$/,
    )
    expect(kept).toMatchObject([{ name: 'a.bin' }])
    expect(again.exitCode).toBe(0)
    expect(again.notes).toContain('may be in the file at the server twice')
  })

  test('a refusal leaves no chunk in doubt', async () => {
    await using server = await OldServer.openNode1()
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const env = { INDEXCP_API_KEY: server.key }
    server.refusals.push(404)

    const refused = await runPut(dir, ['a.bin', server.url], { env })
    const kept = await listOutbox(dir)
    const again = await runPut(dir, ['a.bin', server.url], { env })

    expect(refused.exitCode).toBe(8)
    expect(kept).toEqual([])
    expect(again.exitCode).toBe(0)
    expect(digestOf(server.content('a.bin'))).toBe(digestOf(CONTENT))
  })

  test('delivers to the reference server of tus, in parts at once', async () => {
    await using server = await TusReferenceServer.open()
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const url = `http://127.0.0.1:${server.port}/files`

    const run = await runPut(dir, ['--parallel', '3', 'a.bin', url])

    const names = (await readdir(server.dir.path)).filter((name) => !name.endsWith('.json'))
    const digests = await Promise.all(names.map((name) => server.dir.digest(name)))
    expect(run).toMatchObject({ exitCode: 0, notes: '' })
    expect(digests).toContain(digestOf(CONTENT))
  })
})
