/**
 * A server program of Debian's that a test runs: in the foreground, on free ports of the loopback,
 * with every file of its own in a folder that goes with it.
 *
 * Owns the process and whatever it starts: all of them are killed together when it is disposed of.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fchmodSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from 'node:fs'
import { chmod } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TempDir } from './temp-dir.ts'

/** How a program is started. */
export interface ServerProgram {
  /** For messages. */
  readonly name: string
  readonly path: string
  /** How many ports it listens on. */
  readonly portCount: number
  /** Writes its settings into the folder and gives its arguments. */
  configure(folder: TempDir, ports: readonly number[]): Promise<readonly string[]>
}

// Another process may take a port between our look and the program's.
const MAX_STARTS = 5
const START_TIMEOUT_MS = 30_000
const REPLACE_TIMEOUT_MS = 20_000
const LOOK_INTERVAL_MS = 10
const FIRST_PORT = 10_000
const LAST_PORT = 32_767
/** TCP_LISTEN of Linux, in hexadecimal. */
const LISTENING = '0A'
const LOG_NAME = 'server.log'

/** A running server. Whoever starts it disposes of it. */
export class ServerProcess implements AsyncDisposable {
  readonly name: string
  readonly folder: TempDir
  readonly ports: readonly number[]
  readonly #child: ChildProcess
  #killed = false

  private constructor(program: ServerProgram, folder: TempDir, start: Start) {
    this.name = program.name
    this.folder = folder
    this.ports = start.ports
    // A file, because servers open /dev/stderr by its name, which fails for a pipe of Node's.
    const log = openSync(folder.join(LOG_NAME), 'a')
    try {
      // For those who open it again after they gave up root.
      fchmodSync(log, 0o666)
      this.#child = spawn(program.path, start.args, {
        cwd: folder.path,
        env: { PATH: process.env['PATH'] ?? '', HOME: folder.path },
        stdio: ['ignore', log, log],
        // A group of its own, so that workers can be killed with their master.
        detached: true,
      })
    } finally {
      closeSync(log)
    }
    this.#child.once('error', () => {})
    process.once('exit', this.#killGroup)
  }

  readonly #killGroup = (): void => {
    const { pid } = this.#child
    // Once: later the number may be another's.
    if (this.#killed || pid === undefined) return
    this.#killed = true
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // All of the group have ended already.
    }
  }

  /** Starts the program and waits until all its ports take connections. */
  static async start(program: ServerProgram): Promise<ServerProcess> {
    const folder = await TempDir.create()
    // Servers that are started as root give that up, and still have to get at their files.
    await chmod(folder.path, 0o777)
    let log = ''
    for (let starts = 1; starts <= MAX_STARTS; starts++) {
      const ports = await freePorts(program.portCount)
      const args = await program.configure(folder, ports)
      const server = new ServerProcess(program, folder, { ports, args })
      if (await server.#listens()) return server
      await server.kill()
      log = server.log
    }
    await folder[Symbol.asyncDispose]()
    throw new Error(`${program.name} did not start:\n${log}`)
  }

  /** What it has printed so far. */
  get log(): string {
    return readFileSync(this.folder.join(LOG_NAME), 'utf8')
  }

  get #ended(): boolean {
    const { exitCode, signalCode, pid } = this.#child
    return exitCode !== null || signalCode !== null || pid === undefined
  }

  /**
   * Sends a signal that makes the program start new workers, to the program alone; waits until those
   * of before take no connection any more, which they would close soon.
   */
  async replaceWorkers(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this.#child
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    const before = children.split(' ').filter(Boolean)
    this.#child.kill(signal)
    const giveUpAt = performance.now() + REPLACE_TIMEOUT_MS
    while (before.some((worker) => listens(worker, this.ports))) {
      if (performance.now() > giveUpAt)
        throw new Error(`${this.name} kept its workers:\n${this.log}`)
      await sleep(LOOK_INTERVAL_MS)
    }
  }

  /** Kills it with all it has started, and waits for its end. */
  async kill(): Promise<void> {
    const closed = this.#ended
      ? undefined
      : new Promise((resolve) => this.#child.once('close', resolve))
    this.#killGroup()
    process.off('exit', this.#killGroup)
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.folder[Symbol.asyncDispose]()
  }

  async #listens(): Promise<boolean> {
    const giveUpAt = performance.now() + START_TIMEOUT_MS
    while (performance.now() < giveUpAt && !this.#ended) {
      const open = await Promise.all(this.ports.map(takesConnections))
      if (open.every(Boolean)) {
        // Were a port another's, the program would have ended by now or very soon.
        await sleep(LOOK_INTERVAL_MS)
        return !this.#ended
      }
      await sleep(LOOK_INTERVAL_MS)
    }
    return false
  }
}

interface Start {
  readonly ports: readonly number[]
  readonly args: readonly string[]
}

/** Whether a process has a socket that listens on one of the ports. */
function listens(pid: string, ports: readonly number[]): boolean {
  // The columns of proc_net_tcp(5): 1 is the local address, 3 the state, 9 the inode.
  const sockets = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      return state === LISTENING && ports.includes(Number.parseInt(local.split(':')[1] ?? '', 16))
    })
    .map((columns) => `socket:[${columns[9]}]`)
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some((fd) => sockets.includes(readlinkSync(`${folder}/${fd}`)))
  } catch {
    // It has ended, or closed that one meanwhile: another look tells.
    return existsSync(`/proc/${pid}`)
  }
}

/** Whether something listens on a port of the loopback. */
function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/**
 * Ports of the loopback that nobody listens on, all different. They lie below those that the system
 * gives to whoever asks for any (RFC 6335 §6 and Linux), so that nobody gets them in the meantime.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1)
    if (await canListen(port)) ports.add(port)
  }
  return [...ports]
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
