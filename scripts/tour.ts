/**
 * `npm start`: shows the main job on this machine, both ways. A local nginx serves a 1 GiB file;
 * `ferry get` fetches it at full speed; then again from a server that limits each connection, killed
 * with SIGKILL on the way and resumed. `ferry put` sends it to a `ferry receive`, killed and resumed as
 * well. The digest is checked each time. Only the loopback is used.
 */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { requireTool } from '../test/support/tools.ts'

const MIB = 1_048_576
const FULL_SIZE = 1024 * MIB
// Where there is little room, a smaller file shows the same.
const SMALL_SIZE = 128 * MIB
const FILE_NAME = 'cargo.bin'
const LIMIT_PER_CONNECTION = '60m'
const KILL_AFTER_MS = 2500
// Long enough to be killed on the way, whatever the size.
const UPLOAD_SECONDS = 6
/** What a command ends with after Ctrl-C. */
const INTERRUPTED = 130

const command = new URL('../packages/cli/bin/ferry.js', import.meta.url).pathname
const folder = await mkdtemp(join(tmpdir(), 'ferry-tour-'))
const origin = join(folder, 'origin')
// In the repository and ignored by git, so that a second tour replaces the file of the first.
const kept = new URL('../.tour', import.meta.url).pathname
const inbox = join(folder, 'inbox')
const servers: ChildProcess[] = []

process.on('SIGINT', () => {
  // The running ferry gets the signal too and ends; then so does the tour, in its `finally`.
})
try {
  process.exitCode = await tour()
} catch (error) {
  console.error(`The tour cannot go on: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await Promise.all(servers.map(stop))
  await rm(folder, { recursive: true, force: true })
}

async function tour(): Promise<number> {
  const program = requireTool('nginx')
  await mkdir(origin)
  await mkdir(kept, { recursive: true })
  await rm(join(kept, FILE_NAME), { force: true })
  const { bsize, bavail } = await statfs(folder)
  const size = bsize * bavail > 4 * FULL_SIZE ? FULL_SIZE : SMALL_SIZE
  say(`1. A file of ${size / MIB} MiB is made, and nginx serves it on the loopback`)
  const digest = await makeFile(join(origin, FILE_NAME), size)
  console.log(`   sha256 ${digest}`)
  const [fast, slow] = await startNginx(program)
  const code = await showDownload(fast, slow, digest)
  return code === 0 ? await showUpload(digest, size) : code
}

async function showDownload(fast: string, slow: string, digest: string): Promise<number> {
  const target = join(kept, FILE_NAME)
  const common = ['-d', kept, '-o', FILE_NAME, '--checksum', `sha256=${digest}`]

  say('2. At full speed')
  const whole = await run(['get', '--overwrite', '--fresh', ...common, `${fast}/${FILE_NAME}`])
  if (whole !== 0) return whole

  say(
    `3. From a server that gives each connection ${LIMIT_PER_CONNECTION}B/s: killed with SIGKILL on the way`,
  )
  const options = ['get', '--overwrite', '-x', '4', ...common, `${slow}/${FILE_NAME}`]
  const first = await run(options, KILL_AFTER_MS)
  if (first === INTERRUPTED) return first
  if (first === 0) console.log('   (it was done before the kill)')
  const journal = await readFile(`${target}.part.journal`, 'utf8').catch(() => '')
  console.log(
    `   left behind: ${FILE_NAME}.part and a journal of ${journal.split('\n').length - 1} lines`,
  )

  say('4. The same command again goes on from there')
  return await run(options)
}

async function showUpload(digest: string, size: number): Promise<number> {
  say('5. The same file goes up to a `ferry receive`: killed with SIGKILL on the way')
  const url = await startReceiver()
  const limit = `${Math.ceil(size / MIB / UPLOAD_SECONDS)}M`
  const outbox = ['--outbox', join(folder, 'outbox.db')]
  const options = ['put', '--limit-rate', limit, ...outbox, join(kept, FILE_NAME), `${url}/files`]
  const first = await run(options, KILL_AFTER_MS)
  if (first === INTERRUPTED) return first
  if (first === 0) console.log('   (it was done before the kill)')
  await run(['outbox', 'list', ...outbox])

  say('6. The same command again goes on from there')
  const code = await run(options)
  if (code !== 0) return code
  const isWhole = (await readDigest(join(inbox, FILE_NAME))) === digest
  console.log(`   sha256 of what was received: ${isWhole ? 'the same' : 'another'}`)
  if (!isWhole) return 1
  say(`Done. The file is ${join(kept, FILE_NAME)}. Try: npx ferry get --help, npx ferry put --help`)
  return 0
}

function say(text: string): void {
  console.log(`\n${text}`)
}

/** Writes a file that no compression and no cache can shorten; gives its digest. */
async function makeFile(path: string, size: number): Promise<string> {
  const hash = createHash('sha256')
  const block = Buffer.allocUnsafe(16 * MIB)
  await using file = await open(path, 'w')
  for (let written = 0; written < size; written += block.length) {
    randomFillSync(block)
    hash.update(block)
    await file.write(block)
  }
  return hash.digest('hex')
}

async function readDigest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: MIB })) hash.update(piece)
  return hash.digest('hex')
}

/** Starts `ferry receive` on a free port; gives its URL. */
async function startReceiver(): Promise<string> {
  const args = [command, 'receive', '--json', '--dir', inbox, '--port', '0']
  const child = startServer(process.execPath, args, ['ignore', 'pipe', 'inherit'])
  for await (const line of createInterface({ input: child.stdout as Readable })) {
    const { event, url } = JSON.parse(line) as { event: string; url?: string }
    if (event !== 'listening' || url === undefined) continue
    // Nobody reads on, and nothing must wait for that.
    child.stdout?.resume()
    return url
  }
  throw new Error('ferry receive did not start')
}

function startServer(program: string, args: string[], stdio: StdioOptions): ChildProcess {
  // Its own group, so that Ctrl-C reaches it only through us.
  const child = spawn(program, args, { stdio, detached: true })
  servers.push(child)
  return child
}

/** Resolves when it has ended. */
async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, 'close')
  server.kill()
  await ended
}

/** Starts one nginx with two ports, the second of which limits each connection. */
async function startNginx(program: string): Promise<[fast: string, slow: string]> {
  const [fast, slow] = [await freePort(), await freePort()]
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const config = `
    daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;
    events {}
    http {
      access_log off; sendfile on; sendfile_max_chunk 512k;
      ${paths.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      server { listen 127.0.0.1:${fast}; root ${origin}; }
      server { listen 127.0.0.1:${slow}; root ${origin}; limit_rate ${LIMIT_PER_CONNECTION}; }
    }`
  const path = join(folder, 'nginx.conf')
  await writeFile(path, config)
  const args = ['-p', folder, '-c', path, '-e', 'stderr']
  const child = startServer(program, args, ['ignore', 'ignore', 'pipe'])
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('event method')) resolve()
    })
    child.once('close', () => reject(new Error(`nginx did not start:\n${log}`)))
  })
  return [`http://127.0.0.1:${fast}`, `http://127.0.0.1:${slow}`]
}

/** Runs the command in this terminal; gives its exit code, 137 when it was killed. */
async function run(args: string[], killAfterMs?: number): Promise<number> {
  const shown = args.map((arg) => (arg.startsWith('sha256=') ? `${arg.slice(0, 13)}…` : arg))
  console.log(`   $ ferry ${shown.join(' ')}`)
  const child = spawn(process.execPath, [command, ...args], { stdio: 'inherit' })
  const timer =
    killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  const code = await new Promise<number>((resolve) =>
    child.once('close', (status) => resolve(status ?? 137)),
  )
  clearTimeout(timer)
  return code
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
