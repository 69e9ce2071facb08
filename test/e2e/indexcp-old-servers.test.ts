/** `indexcp` with servers of each generation of IndexedCP. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OldServer } from '../support/indexedcp-servers.ts'
import { runFerry } from '../support/run-ferry.ts'
import { runIndexcp } from '../support/run-indexcp.ts'
import { TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_500_000)

describe.concurrent('indexcp', () => {
  test.each([
    ['the first Node server', () => OldServer.openNode1(), 'a.bin'],
    ['its simple kind', () => OldServer.openSimple(), 'uploaded_file.txt'],
    ['the Python server', () => OldServer.openPython(), 'a.bin'],
  ])('sends a file of several chunks to %s', async (_, open, storedName) => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    await using server = await open()

    const { exitCode } = await runIndexcp(['buffer-and-upload', './a.bin', server.url], {
      home: dir.path,
      env: { INDEXCP_API_KEY: server.key },
    })

    expect(exitCode).toBe(0)
    expect([...server.files.keys()]).toEqual([storedName])
    expect(server.content(storedName).equals(CONTENT)).toBe(true)
    expect(server.chunks).toEqual([0, 1, 2])
  })

  test('tells what the later Node servers call a file, and refuses to scatter one over many', async () => {
    await using dir = await TempDir.create()
    await dir.write('small.txt', 'text')
    await dir.write('large.bin', CONTENT)
    await using server = await OldServer.openNode2()
    const options = { home: dir.path, env: { INDEXCP_API_KEY: server.key } }

    const small = await runIndexcp(['buffer-and-upload', 'small.txt', server.url], options)
    const large = await runIndexcp(['buffer-and-upload', 'large.bin', server.url], options)

    expect(small).toMatchObject({ exitCode: 0 })
    expect(small.stdout).toMatch(
      /^Upload complete for small\.txt -> Server saved as: \d+_\w+_small\.txt$/m,
    )
    expect(large.exitCode).toBe(7)
    expect(large.stderr).toContain('ferry put --chunk-size 1T FILE URL sends a file in one piece')
    expect((await runIndexcp(['list'], options)).stdout).toContain('large.bin')
    const inOnePiece = await runFerry(['put', '--chunk-size', '1T', 'large.bin', server.url], {
      cwd: dir.path,
      env: { HOME: dir.path, ...options.env },
    })
    expect(inOnePiece.exitCode).toBe(0)
    expect([...server.files.values()].some((pieces) => Buffer.concat(pieces).equals(CONTENT))).toBe(
      true,
    )
  })

  test('does not double what may have arrived at a server that cannot tell', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    await using server = await OldServer.openNode1()
    server.lostAnswers = 1
    const options = { home: dir.path, env: { INDEXCP_API_KEY: server.key } }

    const first = await runIndexcp(['buffer-and-upload', 'a.bin', server.url], options)
    const again = await runIndexcp(['upload', server.url], options)

    for (const { exitCode, stderr } of [first, again]) {
      expect(exitCode).toBe(21)
      expect(stderr).toContain('Look at the file at the server')
    }
    expect(server.content('a.bin').equals(CONTENT.subarray(0, 1_048_576))).toBe(true)
  })
})
