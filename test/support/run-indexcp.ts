/** Runs the built `indexcp` the way a user does, with a home of its own. */
import { join } from 'node:path'
import { FerryProcess, type FerryExit } from './run-ferry.ts'

export const INDEXCP: string = join(import.meta.dirname, '../../packages/cli/bin/indexcp.js')

export interface IndexcpOptions {
  /** Its home, and where it runs. */
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  readonly typed?: { readonly after: string; readonly text: string }
  /** A terminal is there, to which everything goes that it prints. */
  readonly hasTerminal?: true
}

/** Starts it; whoever does disposes of it, or awaits its exit. */
export function startIndexcp(
  args: readonly string[],
  { home, env, typed, hasTerminal }: IndexcpOptions,
): FerryProcess {
  // "$@" is Node, the other program, and the arguments.
  const call = `node=$1; shift 2; set -- "$node" '${INDEXCP}' "$@"`
  const run = hasTerminal === true ? `command="$*" script -qfec '$command' /dev/null` : 'exec "$@"'
  return new FerryProcess(args, {
    cwd: home,
    shell: `${call}; ${run}`,
    env: { HOME: home, ...env },
    ...(typed === undefined ? {} : { typed }),
  })
}

/** Runs it to its end. */
export function runIndexcp(args: readonly string[], options: IndexcpOptions): Promise<FerryExit> {
  return startIndexcp(args, options).exit
}
