/** `ferry receive` with curl for its client: what arrives, what is told, and what a break costs. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FerryProcess, type JsonEvent } from '../support/run-ferry.ts'
import {
  appendByTus,
  cancelByTus,
  createByTus,
  locationOf,
  offsetOf,
  ReceiveProcess,
  send,
} from '../support/run-receive.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(3_000_000)
const HALF = 1_500_000
const WHOLE = 'Upload-Complete: ?1'

describe.concurrent('ferry receive', () => {
  test('takes uploads by each protocol, and tells of them', async () => {
    await using dir = await TempDir.create()
    await using sent = await TempDir.create()
    const file = await sent.write('plain.bin', CONTENT)
    await using server = await ReceiveProcess.start(dir.path)
    const { url } = server

    const plain = await send(`${url}/files/`, ['-T', file], { fields: [WHOLE] })
    const created = await createByTus(url, { name: 'tus.bin', length: CONTENT.length })
    const tus = await appendByTus(locationOf(created, url), 0, CONTENT)
    // The second client says how much there is; the first, of the existing kind, never does.
    for (const more of [[], ['X-Upload-Id: 1', `X-Total-Size: ${CONTENT.length}`]]) {
      const name = `X-File-Name: some/${more.length === 0 ? 'silent' : 'chunks'}.bin`
      const size = [`X-Chunk-Size: ${HALF}`, 'Content-Type: application/octet-stream']
      for (const index of [0, 1]) {
        const fields = [name, `X-Chunk-Index: ${index}`, ...size, ...more]
        const content = CONTENT.subarray(index * HALF, (index + 1) * HALF)
        await send(`${url}/upload`, ['--data-binary', '@-'], { fields, content })
      }
    }

    expect([plain.status, tus.status]).toEqual([201, 204])
    for (const name of ['plain.bin', 'tus.bin', 'silent.bin', 'chunks.bin']) {
      expect(await dir.digest(name)).toBe(digestOf(CONTENT))
    }
    server.process.kill('SIGTERM')
    expect(await server.process.exit).toMatchObject({ exitCode: 0, stderr: '' })
    const { events } = server.process
    expect(events[0]?.['addresses']).toEqual({
      indexedcp: `${url}/upload`,
      tus: `${url}/files`,
      ietf: `${url}/files/`,
    })
    const told = events.filter(({ name }) => name === 'tus.bin')
    expect([told[0]?.event, told.at(-1)?.event]).toEqual(['created', 'completed'])
    expect(told[0]).toMatchObject({ offset: 0, length: CONTENT.length, receivedBytes: 0 })
    expect(
      events.find(({ event, name }) => event === 'completed' && name === 'chunks.bin'),
    ).toMatchObject({ path: dir.join('chunks.bin'), door: 'indexedcp', length: CONTENT.length })
    expect([events.some(({ event }) => event === 'stopping'), events.at(-1)?.event]).toEqual([
      true,
      'stopped',
    ])
    expect(unfinishedOf(events.at(-1))).toEqual({ 'silent.bin': CONTENT.length })
  })

  test.each(['SIGKILL', 'SIGINT'] as const)('lets uploads go on after %s', async (signal) => {
    await using dir = await TempDir.create()
    await using first = await ReceiveProcess.start(dir.path)
    const created = await createByTus(first.url, { name: 'tus.bin', length: CONTENT.length })
    const tus = locationOf(created, first.url)
    const begun = await appendByTus(tus, 0, CONTENT.subarray(0, HALF))
    // One that is cut in the middle.
    const slowly = ['-T', '-', '--limit-rate', '200k']
    const cut = send(`${first.url}/files/plain.bin`, slowly, { fields: [WHOLE], content: CONTENT })
    const { id, receivedBytes: kept } = await first.event('progress', 'plain.bin')
    first.process.kill(signal)
    const exit = await first.process.exit
    await cut

    await using second = await ReceiveProcess.again(dir.path, first)
    const plain = `${second.url}/files/${id as string}`
    const offset = await offsetOf(plain)
    const piece = ['Content-Type: application/partial-upload', `Upload-Offset: ${offset}`, WHOLE]
    const rest = await send(plain, ['-X', 'PATCH', '--data-binary', '@-'], {
      fields: piece,
      content: CONTENT.subarray(offset),
    })
    const tusOffset = await offsetOf(tus, ['Tus-Resumable: 1.0.0'])
    const appended = await appendByTus(tus, HALF, CONTENT.subarray(HALF))

    expect([begun.status, tusOffset, appended.status, rest.status]).toEqual([204, HALF, 204, 201])
    expect(kept).toBeGreaterThan(0)
    expect(offset).toBeGreaterThanOrEqual(kept as number)
    expect(unfinishedOf(second.process.events[0])).toEqual({ 'plain.bin': offset, 'tus.bin': HALF })
    expect(await dir.digest('plain.bin')).toBe(digestOf(CONTENT))
    expect(await dir.digest('tus.bin')).toBe(digestOf(CONTENT))
    if (signal === 'SIGKILL') return
    expect(exit).toMatchObject({ exitCode: 0, stderr: '' })
    const last = first.process.events.at(-1)
    expect(unfinishedOf(last)).toEqual({ 'plain.bin': offset, 'tus.bin': HALF })
  })

  test('ends at once with the second signal', async () => {
    await using dir = await TempDir.create()
    let exitCode: number | undefined = 0
    // The system may bring the second one late, when all has ended politely.
    for (let attempt = 0; attempt < 10 && exitCode === 0; attempt++) {
      await using server = await ReceiveProcess.start(dir.path)
      await createByTus(server.url, { name: 'begun.bin', length: 10 })
      // Both are there when it goes on: the first has had no time to end politely.
      for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM', 'SIGCONT'] as const) {
        server.process.kill(signal)
      }
      const { exitCode: code, stdout } = await server.process.exit
      exitCode = code
      expect(stdout.includes('"stopped"')).toBe(code === 0)
    }

    expect([130, 143]).toContain(exitCode)
    await using again = await ReceiveProcess.start(dir.path)
    expect(unfinishedOf(again.process.events[0])).toMatchObject({ 'begun.bin': 0 })
  })

  test('tells people by lines, and what it has taken on standard output alone', async () => {
    await using dir = await TempDir.create()
    await using run = new FerryProcess(['receive', '--dir', 'in', '--port', '0'], { cwd: dir.path })
    await run.printed('Ctrl-C ends it')
    const url = /^ {2}tus +(.*)\/files$/m.exec(run.stderr)?.[1] as string
    const content = Buffer.from('content')
    await send(`${url}/files/a.txt`, ['-T', '-'], { fields: [WHOLE], content })
    const begun = locationOf(await createByTus(url, { name: 'begun.bin', length: 10 }), url)
    const cancelled = locationOf(await createByTus(url, { name: 'cancelled.bin', length: 9 }), url)
    await cancelByTus(cancelled)
    await appendByTus(begun, 0, Buffer.from('four'))

    run.kill('SIGINT')
    const { exitCode, stdout, stderr } = await run.exit

    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^\d{4}-\S+Z \S+\/in\/a\.txt: 7 B(?: in [^,]+)?, by plain HTTP\n$/)
    expect(stderr).toContain(`Receiving into ${dir.join('in')}\n`)
    expect(stderr).toMatch(/Z cancelled\.bin: cancelled by its client at 0 B of 9 B\n/)
    expect(stderr).toContain('Stopped; 1 upload unfinished, kept in ')
    expect(stderr).toContain('\n  begun.bin: 4 B of 10 B, by tus\n')
    expect(stderr).toContain(`if it listens at ${url} again\n`)
  })

  test('has its folders and limits from the options', async () => {
    await using dir = await TempDir.create()
    const limits = ['--max-size', '1K', '--on-exists', 'fail', '--max-uploads', '1']
    const rest = ['--path-mode', 'allow-paths', '--doors', 'tus,indexedcp', '--mount', '/api']
    await using server = await ReceiveProcess.start(dir.path, [...limits, ...rest])
    const { url } = server
    const fill = async (name: string): Promise<number> => {
      const created = await createByTus(url, { name, length: 1024 })
      if (created.status !== 201) return created.status
      return (await appendByTus(locationOf(created, url), 0, Buffer.alloc(1024))).status
    }

    const large = await createByTus(url, { name: 'large.bin', length: 1025 })
    const leaving = await createByTus(url, { name: '../a.bin', length: 1 })
    const placed = await fill('folder/a.bin')
    const taken = await fill('folder/a.bin')
    const second = await createByTus(url, { name: 'b.bin', length: 1 })
    const plain = await send(`${url}/files/`, ['-X', 'POST'], { fields: [WHOLE] })

    expect(new URL(url).pathname).toBe('/api')
    expect([large.status, leaving.status, placed, taken]).toEqual([413, 400, 204, 409])
    expect([second.status, plain.status]).toEqual([403, 404])
    expect((await dir.read('folder/a.bin')).length).toBe(1024)
    expect(await dir.names()).toEqual(['.ferry', 'folder'])
  })
})

/** Names and offsets of the unfinished uploads that an event tells. */
function unfinishedOf(event: JsonEvent | undefined): Record<string, number> {
  const uploads = event?.['unfinished'] as { name: string; offset: number }[]
  return Object.fromEntries(uploads.map(({ name, offset }) => [name, offset]))
}
