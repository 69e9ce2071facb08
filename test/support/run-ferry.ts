/**
 * Runs the built command the way a user does, as a process of its own.
 *
 * Owns the process: it is killed when it outlives its time or the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const CLI = join(import.meta.dirname, '../../packages/cli')
const COMMAND = join(CLI, 'bin/ferry.js')
// Far beyond what any test needs, within the limit of a test.
const TIMEOUT_MS = 100_000
const PROGRESS_LINE = /^(?!ferry: ).*, \d+ connections?\n/gm

/** How a run ended. */
export interface FerryExit {
  /** undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
  /** Standard error but for the lines that `get` writes now and then, when it takes long. */
  readonly notes: string
}

/** One line of `--json`. */
export interface JsonEvent {
  readonly event: string
  readonly [field: string]: unknown
}

/** Where and in what it runs. */
export interface FerryOptions {
  readonly cwd: string
  /** A shell command in whose words `"$@"` stands for the call of ferry. */
  readonly shell?: string
  /** What is typed, once the command has asked for it; its standard input stays open. */
  readonly typed?: { readonly after: string; readonly text: string }
  readonly env?: Readonly<Record<string, string>>
}

/** A running command. Whoever starts it disposes of it, or awaits its exit. */
export class FerryProcess implements AsyncDisposable {
  readonly exit: Promise<FerryExit>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''
  #ended = false
  /** Called when something was printed and at the end. */
  readonly #watchers = new Set<() => void>()

  constructor(args: readonly string[], { cwd, shell, typed, env }: FerryOptions) {
    const [program, ...rest] = commandOf(args, shell) as [string, ...string[]]
    this.#child = spawn(program, rest, {
      cwd,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? cwd,
        LC_ALL: 'C.UTF-8',
        ...env,
      },
      stdio: [typed === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#notify()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#notify()
    })
    this.exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        this.#ended = true
        this.#notify()
        resolve({
          exitCode: code ?? undefined,
          signal: signal ?? undefined,
          stdout: this.#stdout,
          stderr: this.#stderr,
          notes: this.#stderr.replace(PROGRESS_LINE, ''),
        })
      })
    })
    if (typed !== undefined) this.#type(typed)
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** What `--json` has printed so far. */
  get events(): JsonEvent[] {
    return parseEvents(this.#stdout.slice(0, this.#stdout.lastIndexOf('\n') + 1))
  }

  /** What is on standard output so far. */
  get stdout(): string {
    return this.#stdout
  }

  /** What is on standard error so far. */
  get stderr(): string {
    return this.#stderr
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for the first event that matches; fails when the command ends without it. */
  async event(matches: (event: JsonEvent) => boolean): Promise<JsonEvent> {
    await this.#until(() => this.events.some(matches))
    return this.events.find(matches) as JsonEvent
  }

  /** Waits until the text is on standard error. */
  async printed(text: string): Promise<void> {
    await this.#until(() => this.#stderr.includes(text))
  }

  /** Waits until standard output matches. */
  async shown(pattern: RegExp): Promise<void> {
    await this.#until(() => pattern.test(this.#stdout))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.kill('SIGKILL')
    await this.exit
  }

  #type({ after, text }: { readonly after: string; readonly text: string }): void {
    // It may end without having read.
    this.#child.stdin?.on('error', () => {})
    void this.#until(() => this.#stdout.includes(after)).then(
      () => this.#child.stdin?.write(text),
      () => {},
    )
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (holds()) resolve()
        else if (this.#ended) {
          reject(new Error(`ferry ended before that:\n${this.#stdout}${this.#stderr}`))
        } else return
        this.#watchers.delete(look)
      }
      this.#watchers.add(look)
      look()
    })
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look()
  }
}

/** Runs the command to its end. */
export function runFerry(args: readonly string[], options: FerryOptions): Promise<FerryExit> {
  return new FerryProcess(args, options).exit
}

/** The values that `--json` has printed; each line has to be one. */
export function parseEvents(stdout: string): JsonEvent[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonEvent)
}

function commandOf(args: readonly string[], shell: string | undefined): string[] {
  if (!existsSync(join(CLI, 'dist/main.js'))) {
    throw new Error('The command is not built: run "npm run build" first')
  }
  const command = [process.execPath, COMMAND, ...args]
  return shell === undefined ? command : ['sh', '-c', shell, 'sh', ...command]
}
