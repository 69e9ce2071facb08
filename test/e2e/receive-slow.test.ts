/** Clients that hold connections open and send next to nothing: others are served all the same. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { seededContent } from '../support/receive-content.ts'
import { ReceiveChild } from '../support/receive-child.ts'
import { STEPS } from '../support/receive-steps.ts'
import { TempDir } from '../support/temp-dir.ts'

const SLOW = 500
const DRIBBLE_MS = 200
const LENGTH = 200_000

/** What slow clients have sent when they begin to dribble. */
const BEGINNINGS: readonly string[] = [
  // A head without an end.
  'POST /upload HTTP/1.1\r\nHost: h\r\nX-Slow: ',
  // Content without an end, by each protocol.
  'POST /upload HTTP/1.1\r\nHost: h\r\nX-File-Name: slow\r\nX-Upload-Id: slow\r\nContent-Length: 99999\r\n\r\n',
  'POST /files HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 99999\r\nContent-Length: 99999\r\n' +
    'Content-Type: application/offset+octet-stream\r\n\r\n',
  'POST /files HTTP/1.1\r\nHost: h\r\nUpload-Complete: ?1\r\nContent-Length: 99999\r\n\r\n',
  // Nothing but an announcement.
  'POST /files HTTP/1.1\r\nHost: h\r\nUpload-Complete: ?1\r\nTransfer-Encoding: chunked\r\n\r\n',
]

/** Clients that send a byte now and then, until they are closed. */
class SlowClients implements Disposable {
  readonly #sockets = new Set<Socket>()
  readonly #timer = setInterval(() => {
    for (const socket of this.#sockets) socket.write('x')
  }, DRIBBLE_MS)

  /** Those that the server has not closed. */
  get count(): number {
    return this.#sockets.size
  }

  async add(port: number, beginning: string): Promise<void> {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.resume()
    socket.write(beginning)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
  }
}

test(`UploadServer serves others beside ${SLOW} slow clients, and ends those`, async () => {
  await using dir = await TempDir.create()
  const limits = { idleTimeoutMs: 1500, minBytesPerSecond: 1000 }
  await using server = await ReceiveChild.start(dir.path, { limits, headersTimeoutMs: 1500 })
  const { url } = server
  const port = Number(new URL(url).port)
  using slow = new SlowClients()
  const beginnings = Array.from({ length: SLOW }, (_, index) => BEGINNINGS[index % 5] as string)
  await Promise.all(beginnings.map((beginning) => slow.add(port, beginning)))

  for (const [index, { begin, send }] of Object.values(STEPS).entries()) {
    const content = seededContent(index, 0, LENGTH)
    const { place } = await begin(url, `${index}.bin`, LENGTH)
    expect(await send(url, place, { content, offset: 0, isLast: true })).toBeLessThan(300)
    expect((await readFile(dir.join(`${index}.bin`))).equals(content)).toBe(true)
  }

  await expect.poll(() => slow.count, { timeout: 60_000 }).toBe(0)
  expect(await server.stop()).toEqual([])
}, 90_000)
