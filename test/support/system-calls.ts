/** The system calls of a process and its threads, as strace sees them. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { TempDir } from './temp-dir.ts'
import { requireTool } from './tools.ts'

/** One call, from the line where it begins to the line where it returns. */
export interface SystemCall {
  readonly name: string
  /** As strace shows them: descriptors with their paths, strings cut. */
  readonly args: string
  readonly begin: number
  end: number
}

const CALLS = [
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'sendto',
  'sendmsg',
  'fsync',
  'fdatasync',
  'rename',
  'renameat',
  'renameat2',
  'link',
  'linkat',
]

/** Runs a command to its end and gives its calls that write, sync or name files, in their order. */
export async function traceCalls(command: readonly string[]): Promise<SystemCall[]> {
  await using dir = await TempDir.create()
  const path = dir.join('trace')
  const options = ['-f', '-y', '-s', '200', '-e', `trace=${CALLS.join(',')}`, '-o', path]
  await promisify(execFile)(requireTool('strace'), [...options, ...command])
  return parseTrace(await readFile(path, 'latin1'))
}

function parseTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = []
  /** By thread: the one that has not returned. */
  const unfinished = new Map<string, SystemCall>()
  for (const [index, line] of text.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, name, args = ''] = /^(\w+)\((.*)$/.exec(rest) ?? []
    if (name !== undefined) {
      const call = { name, args, begin: index, end: index }
      calls.push(call)
      if (rest.endsWith('<unfinished ...>')) unfinished.set(thread, call)
    } else if (rest.startsWith('<... ')) {
      const call = unfinished.get(thread)
      if (call !== undefined) call.end = index
    }
  }
  return calls
}
