/** Runs the lines of docs/put.md and docs/outbox.md that readers type, and compares what comes back. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { UploadServer } from '../../packages/ferry/src/receive/index.ts'
import { TempDir } from '../support/temp-dir.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The blocks of a page that show a whole session: each command and what it printed. */
function sessionsOf(page: string): { commands: string[]; output: string[] }[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8')
  const blocks = [...text.matchAll(/^```\n(\$ .*?)^```$/gms)].map(([, block = '']) => block)
  return blocks.map((block) => {
    const lines = block.trimEnd().split('\n')
    return {
      commands: lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2)),
      output: lines.filter((line) => !line.startsWith('$ ')),
    }
  })
}

/** A folder with the files of the pages and both commands, and a server to send to. */
class Desk implements AsyncDisposable {
  readonly dir: TempDir
  readonly #inbox: TempDir
  readonly #server: UploadServer

  private constructor(dir: TempDir, inbox: TempDir, server: UploadServer) {
    this.dir = dir
    this.#inbox = inbox
    this.#server = server
  }

  static async open(): Promise<Desk> {
    const dir = await TempDir.create()
    await mkdir(dir.join('bin'))
    await mkdir(dir.join('reports/may'), { recursive: true })
    for (const name of ['ferry', 'indexcp']) {
      await symlink(join(ROOT, `packages/cli/bin/${name}.js`), dir.join(`bin/${name}`))
    }
    for (const name of ['film.mp4', 'other.mp4']) await dir.write(name, Buffer.alloc(20_000_000))
    for (const name of ['reports/a.csv', 'reports/may/b.csv']) await dir.write(name, 'a\n')
    await dir.write('myfile.txt', 'what a file may hold\n')
    const inbox = await TempDir.create()
    const server = await UploadServer.open(inbox.path)
    await server.listen()
    return new Desk(dir, inbox, server)
  }

  /** Runs commands in a shell; gives what they wrote to standard output, with the page's URLs. */
  async run(commands: readonly string[]): Promise<string[]> {
    const url = this.#server.url as string
    const script = commands
      .join('\n')
      .replaceAll(/https:\/\/example\.org|http:\/\/localhost:3000/g, url)
    const path = [this.dir.join('bin'), dirname(process.execPath), process.env['PATH']]
    const { stdout } = await promisify(execFile)('sh', ['-euc', script], {
      cwd: this.dir.path,
      env: { PATH: path.join(delimiter), HOME: this.dir.path, no_proxy: '*', LC_ALL: 'C.UTF-8' },
    })
    return stdout.replaceAll(url, 'https://example.org').trimEnd().split('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close()
    await this.dir[Symbol.asyncDispose]()
    await this.#inbox[Symbol.asyncDispose]()
  }
}

/** A line without what differs from run to run: ids, durations, speeds, and the widths of columns. */
function steady(line: string): string {
  return line
    .replace(/\b[0-9a-f]{32}\b|^[0-9a-f]{8}\b/g, 'ID')
    .replace(/[\d.]+ s ago/, 'T ago')
    .replace(/ in [\d.]+ s \([^)]*\)/, ' in T')
    .replace(/ {2,}/g, '  ')
    .trimEnd()
}

// These go on until they are ended.
const isEndless = (command: string): boolean => /\b(server|watch)\b/.test(command)

const sessions = sessionsOf('outbox.md').filter(({ commands }) => !commands.some(isEndless))

test('docs/outbox.md has sessions to run', () => expect(sessions.length).toBe(2))

test.each(sessions)(
  'docs/outbox.md shows what $commands.0 prints',
  async ({ commands, output }) => {
    await using desk = await Desk.open()

    const printed = await desk.run(commands)

    // Files are sent several at once, and end in any order.
    expect(printed.map(steady).toSorted()).toEqual(output.map(steady).toSorted())
  },
)

test('docs/put.md has commands that deliver', async () => {
  await using desk = await Desk.open()
  const commands = sessionsOf('put.md').flatMap((session) => session.commands)

  const printed = await desk.run(commands)

  expect(commands.length).toBe(2)
  expect(printed.map((line) => line.replace(/:.*/, '')).toSorted()).toEqual(
    ['film.mp4', 'film.mp4', 'other.mp4', 'reports/a.csv', 'reports/may/b.csv'].toSorted(),
  )
})
