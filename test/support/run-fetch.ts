/** Runs `ferry fetch` for one test: in a folder of its own, perhaps on a terminal. */
import { type FerryExit, type FerryOptions, runFerry } from './run-ferry.ts'
import { TempDir } from './temp-dir.ts'

/** Refuses every connection. */
export const NOWHERE = 'http://127.0.0.1:1/'

/** How a run ended, and the names of the files that it has left. */
export interface FetchExit extends FerryExit {
  readonly names: string[]
}

/** Runs it in a folder with `files`. */
export async function runFetch(
  args: readonly string[],
  options: Partial<FerryOptions> & { files?: Readonly<Record<string, string>> } = {},
): Promise<FetchExit> {
  await using dir = await TempDir.create()
  const { files = {}, ...rest } = options
  for (const [name, content] of Object.entries(files)) await dir.write(name, content)
  const exit = await runFerry(['fetch', ...args], { cwd: dir.path, ...rest })
  return { ...exit, names: await dir.names() }
}

/** Runs it on the pseudo terminal that `script` (util-linux) opens. */
export function runFetchOnTerminal(
  args: readonly string[],
  { env = {}, ...options }: Pick<FerryOptions, 'env' | 'typed'> = {},
): Promise<FetchExit> {
  const shell = `command="$*" exec script -qefc 'stty cols 72; exec $command' /dev/null`
  return runFetch(args, { ...options, shell, env: { TERM: 'xterm', ...env } })
}
