/** A folder for one test, removed with everything in it. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_INTERVAL_MS = 10

/** A folder under the system's own for such; whoever makes it disposes of it. */
export class TempDir implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async create(): Promise<TempDir> {
    return new TempDir(await mkdtemp(join(tmpdir(), 'ferry-test-')))
  }

  /** Its own name. */
  get name(): string {
    return basename(this.path)
  }

  /** The path of a file in the folder. */
  join(name: string): string {
    return join(this.path, name)
  }

  /** Names in the folder, sorted. */
  async names(): Promise<string[]> {
    return (await readdir(this.path)).sort()
  }

  /** Writes a file and gives its path. */
  async write(name: string, content: string | Buffer): Promise<string> {
    await writeFile(this.join(name), content)
    return this.join(name)
  }

  async remove(name: string): Promise<void> {
    await rm(this.join(name))
  }

  /** Waits until the journal of a download into the folder notes what has come. */
  async whenNoted(name: string): Promise<void> {
    const read = (): Promise<string> => readFile(this.join(name), 'utf8').catch(() => '')
    while (!(await read()).includes('"spans"')) await sleep(LOOK_INTERVAL_MS)
  }

  read(name: string): Promise<Buffer> {
    return readFile(this.join(name))
  }

  /** The digest of a file's content. */
  async digest(name: string): Promise<string> {
    return digestOf(await this.read(name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** SHA-256, hexadecimal. */
export function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
