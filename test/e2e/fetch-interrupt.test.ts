/** How `ferry fetch` ends when it is told to, wherever it is. */
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer } from '../support/fetch-server.ts'
import { FerryProcess } from '../support/run-ferry.ts'
import { TempDir } from '../support/temp-dir.ts'

interface Deaf extends AsyncDisposable {
  readonly host: string
  readonly sockets: readonly Socket[]
}

/** Accepts connections, reads, and says nothing. */
async function startDeaf(): Promise<Deaf> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).resume())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    sockets,
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Whether a process has a file open. */
function hasOpen(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`) === path
    } catch {
      // Closed in the meantime.
      return false
    }
  })
}

describe.concurrent('Ctrl-C ends ferry fetch', () => {
  const rows: readonly { while: string; args: (host: string) => string[] }[] = [
    { while: 'it waits for TLS', args: (host) => [`https://${host}/`] },
    { while: 'it waits for a tunnel', args: (host) => ['--proxy', host, 'https://h.test/'] },
    { while: 'it waits for the head', args: (host) => [`http://${host}/`] },
    { while: 'it sends', args: (host) => ['--data', '@/dev/zero', `http://${host}/`] },
    { while: 'nobody writes the content', args: (host) => ['-d', '@pipe', `http://${host}/`] },
    { while: 'nobody writes the fields', args: (host) => ['-H', '@pipe', `http://${host}/`] },
    { while: 'nobody writes the key', args: (host) => ['--cacert', 'pipe', `http://${host}/`] },
  ]

  test.each(rows)('while $while', async ({ args }) => {
    await using deaf = await startDeaf()
    await using dir = await TempDir.create()
    const shell = 'mkfifo pipe; exec "$@"'
    await using ferry = new FerryProcess(['fetch', ...args(deaf.host)], { cwd: dir.path, shell })
    while (deaf.sockets.length === 0 && !hasOpen(ferry.pid, dir.join('pipe'))) await sleep(20)
    await sleep(100)
    ferry.kill('SIGINT')

    expectRefusal(await ferry.exit, { exitCode: 130, line: 'Interrupted before anything had come' })
  })
})

test('Ctrl-C ends ferry fetch at once, even while nobody takes what it prints', async () => {
  await using server = await FetchServer.start()
  await using dir = await TempDir.create()
  // Who waits at the gate has the pipe, and reads nothing.
  const shell = 'mkfifo gate; ( "$@" & echo $! > pid; wait $!; echo "code $?" >&2 ) | cat gate'
  const args = ['fetch', server.url('/endless')]
  await using ferry = new FerryProcess(args, { cwd: dir.path, shell })
  while (server.requests.length === 0) await sleep(20)
  await sleep(300)

  process.kill(Number(await dir.read('pid')), 'SIGINT')

  await ferry.printed('code 130')
  await dir.write('gate', '')
  expect((await ferry.exit).stderr).toMatch(/code 130\n$/)
})
