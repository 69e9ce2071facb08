/**
 * `npm start`: shows the main job on this machine. A local nginx serves a 1 GiB file; `ferry get`
 * fetches it at full speed; then again from a server that limits each connection, killed with
 * SIGKILL on the way and resumed. The digest is checked each time. Only the loopback is used.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireTool } from '../test/support/tools.ts'

const MIB = 1_048_576
const FULL_SIZE = 1024 * MIB
// Where there is little room, a smaller file shows the same.
const SMALL_SIZE = 128 * MIB
const FILE_NAME = 'cargo.bin'
const LIMIT_PER_CONNECTION = '60m'
const KILL_AFTER_MS = 2500

const command = new URL('../packages/cli/bin/ferry.js', import.meta.url).pathname
const folder = await mkdtemp(join(tmpdir(), 'ferry-tour-'))
const origin = join(folder, 'origin')
// In the repository and ignored by git, so that a second tour replaces the file of the first.
const kept = new URL('../.tour', import.meta.url).pathname
let nginx: ChildProcess | undefined

process.on('SIGINT', () => {
  // The running ferry gets the signal too and ends; then so does the tour, in its `finally`.
})
try {
  process.exitCode = await tour()
} catch (error) {
  console.error(`The tour cannot go on: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  nginx?.kill()
  await rm(folder, { recursive: true, force: true })
}

async function tour(): Promise<number> {
  const program = requireTool('nginx')
  await mkdir(origin)
  await mkdir(kept, { recursive: true })
  await rm(join(kept, FILE_NAME), { force: true })
  const { bsize, bavail } = await statfs(folder)
  const size = bsize * bavail > 3 * FULL_SIZE ? FULL_SIZE : SMALL_SIZE
  say(`1. A file of ${size / MIB} MiB is made, and nginx serves it on the loopback`)
  const digest = await makeFile(join(origin, FILE_NAME), size)
  console.log(`   sha256 ${digest}`)
  const [fast, slow] = await startNginx(program)
  const target = join(kept, FILE_NAME)
  const common = ['-d', kept, '-o', FILE_NAME, '--checksum', `sha256=${digest}`]

  say('2. At full speed')
  const first = await run(['get', '--overwrite', '--fresh', ...common, `${fast}/${FILE_NAME}`])
  if (first !== 0) return first

  say(
    `3. From a server that gives each connection ${LIMIT_PER_CONNECTION}B/s: killed with SIGKILL on the way`,
  )
  const options = ['get', '--overwrite', '-x', '4', ...common, `${slow}/${FILE_NAME}`]
  if ((await run(options, KILL_AFTER_MS)) === 0) console.log('   (it was done before the kill)')
  const journal = await readFile(`${target}.part.journal`, 'utf8').catch(() => '')
  console.log(
    `   left behind: ${FILE_NAME}.part and a journal of ${journal.split('\n').length - 1} lines`,
  )

  say('4. The same command again goes on from there')
  const second = await run(options)
  if (second !== 0) return second
  say(`Done. The file, its digest checked, is ${target}. Try: npx ferry get --help`)
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
  const child = spawn(program, ['-p', folder, '-c', path, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its own group, so that Ctrl-C reaches it only through us.
    detached: true,
  })
  nginx = child
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
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
