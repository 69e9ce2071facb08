/** A folder to send from with `ferry put`, an outbox of its own, and a server that receives. */
import { randomBytes } from 'node:crypto'
import { type OutboxItem, openSqliteOutbox } from '../../packages/ferry/src/upload/index.ts'
import { type FerryExit, type FerryOptions, FerryProcess } from './run-ferry.ts'
import { ReceiveProcess } from './run-receive.ts'
import { digestOf, TempDir } from './temp-dir.ts'

const PROGRESS_LINE = /^(?!ferry: ).*(?:B\/s(?:, .* left)?|\d+ % of [\d.]+ \w+)\n/gm

/** How a run differs from others. */
export type PutRunOptions = Pick<FerryOptions, 'shell' | 'typed' | 'env'>

/** Whoever opens it closes it. */
export class PutSite implements AsyncDisposable {
  /** What is sent; the home of whoever sends is there, too. */
  readonly dir: TempDir
  /** What was received. */
  readonly received: TempDir
  #server: ReceiveProcess

  private constructor(dir: TempDir, received: TempDir, server: ReceiveProcess) {
    this.dir = dir
    this.received = received
    this.#server = server
  }

  /** @param args of `ferry receive` */
  static async open(args: readonly string[] = []): Promise<PutSite> {
    const received = await TempDir.create()
    const server = await ReceiveProcess.start(received.path, args)
    return new PutSite(await TempDir.create(), received, server)
  }

  get server(): ReceiveProcess {
    return this.#server
  }

  /** Where a protocol takes uploads. */
  urlFor(protocol: string): string {
    return `${this.#server.url}/${protocol === 'indexedcp' ? 'upload' : 'files'}`
  }

  /** Writes a file that is like no other. */
  async write(name: string, size: number): Promise<Buffer> {
    const content = randomBytes(size)
    await this.dir.write(name, content)
    return content
  }

  /** Starts `ferry put`. */
  start(args: readonly string[], options: PutRunOptions = {}): FerryProcess {
    return startPut(this.dir, args, options)
  }

  /** Runs `ferry put` to its end. */
  run(args: readonly string[], options: PutRunOptions = {}): Promise<FerryExit> {
    return runPut(this.dir, args, options)
  }

  /** Resolves when the server has bytes of an upload on its disk. */
  async hasBegun(): Promise<void> {
    await this.#server.event('progress')
  }

  /** What is left in the outbox. */
  async outbox(): Promise<OutboxItem[]> {
    return await listOutbox(this.dir)
  }

  /** Whether a file has arrived as it was sent. */
  async has(name: string, content: Buffer): Promise<boolean> {
    return (await this.received.digest(name)) === digestOf(content)
  }

  /** Kills the server and starts it again where it was. */
  async restart(): Promise<void> {
    const before = this.#server
    before.process.kill('SIGKILL')
    await before.process.exit
    this.#server = await ReceiveProcess.again(this.received.path, before)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
    await this.dir[Symbol.asyncDispose]()
    await this.received[Symbol.asyncDispose]()
  }
}

/** Starts `ferry put` in a folder, which is the home of whoever sends. */
export function startPut(
  { path }: TempDir,
  args: readonly string[],
  { env, ...options }: PutRunOptions = {},
): FerryProcess {
  return new FerryProcess(['put', ...args], { cwd: path, env: { HOME: path, ...env }, ...options })
}

/** Runs it to its end; `notes` has no lines of progress, which are written when it takes long. */
export async function runPut(
  home: TempDir,
  args: readonly string[],
  options: PutRunOptions = {},
): Promise<FerryExit> {
  const exit = await startPut(home, args, options).exit
  return { ...exit, notes: exit.stderr.replaceAll(PROGRESS_LINE, '') }
}

/** What is left in the outbox of somebody whose home a folder is. */
export async function listOutbox(home: TempDir): Promise<OutboxItem[]> {
  await using outbox = await openSqliteOutbox({ path: home.join('.indexcp/ferry.db') })
  return await outbox.list()
}
