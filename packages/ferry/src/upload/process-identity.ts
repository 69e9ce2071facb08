/**
 * Which process holds something, so that another one can tell when it has ended. Only Linux tells
 * enough: elsewhere nothing is known of any process but that time passes.
 */
import { readFileSync, readlinkSync } from 'node:fs'

/** A process of this machine. */
export interface ProcessIdentity {
  /** Which start of the system it belongs to; empty where that is unknown. */
  readonly boot: string
  /** Where its number means it: containers number their own processes. Empty where that is unknown. */
  readonly space: string
  readonly pid: number
  /** When it was started, as the system counts: numbers of processes are used again. */
  readonly start: string
}

/** The process that asks. */
export function identifyProcess(): ProcessIdentity {
  return {
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    space: attempt(() => readlinkSync('/proc/self/ns/pid')),
    pid: process.pid,
    start: readStart(process.pid),
  }
}

/** Whether a process is known to have ended; false when nothing can be said. */
export function hasEnded(holder: ProcessIdentity, self: ProcessIdentity): boolean {
  if (holder.boot === '' || holder.boot !== self.boot) return false
  if (holder.space === '' || holder.space !== self.space) return false
  if (holder.pid === self.pid && holder.start === self.start) return false
  return holder.start !== '' && readStart(holder.pid) !== holder.start
}

/** Field 22 of proc_pid_stat(5), in ticks since the start of the system; empty for no process. */
function readStart(pid: number): string {
  return attempt(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name of the program, in parentheses, may have spaces and parentheses of its own.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that is dead but not yet collected by its parent does nothing any more.
    return state === 'Z' || state === 'X' ? '' : (fields[FIELDS_BEFORE_START] ?? '')
  })
}

const FIELDS_BEFORE_START = 18

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
