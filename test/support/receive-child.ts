/** An upload server that is a process of its own, in whatever surroundings a test puts it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { ChildFarewell, ChildGreeting, ChildOptions } from './receive-child-main.ts'

const MAIN = fileURLToPath(new URL('./receive-child-main.ts', import.meta.url))

/** A running server; disposing of it kills it. */
export class ReceiveChild implements AsyncDisposable {
  readonly url: string
  readonly problems: readonly string[]
  readonly pid: number
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #lines: AsyncIterator<string>

  private constructor(
    child: ChildProcessByStdio<null, Readable, Readable>,
    lines: AsyncIterator<string>,
    { port, problems }: ChildGreeting,
  ) {
    this.#child = child
    this.#lines = lines
    this.url = `http://127.0.0.1:${port}`
    this.problems = problems
    this.pid = child.pid as number
  }

  /** @param wrapper a command that runs the one behind it, in the same process */
  static async start(
    folder: string,
    options: ChildOptions = {},
    wrapper: readonly string[] = [],
  ): Promise<ReceiveChild> {
    const node = [process.execPath, '--conditions=ferry-source', MAIN]
    const [program, ...args] = [...wrapper, ...node, folder, JSON.stringify(options)]
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`The server ended before it listened: ${said}`)
    return new ReceiveChild(child, lines, JSON.parse(value) as ChildGreeting)
  }

  /** Closes it as its owner would; gives the failures that were its own. */
  async stop(): Promise<readonly string[]> {
    this.#child.kill('SIGTERM')
    const { value } = await this.#lines.next()
    return (JSON.parse(value as string) as ChildFarewell).failures
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
