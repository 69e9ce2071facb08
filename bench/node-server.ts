/** Servers that are processes of node: each prints its ports once it listens. */
import { once } from 'node:events'
import { type Command, endProgram, startProgram } from './support.ts'

/** A running server. */
export interface NodeServer extends AsyncDisposable {
  readonly ports: readonly number[]
  readonly pid: number
}

/** Starts a server and waits until it listens. */
export async function startNodeServer(command: Command): Promise<NodeServer> {
  const child = startProgram(command, 'pipe')
  child.stderr?.pipe(process.stderr)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return {
    ports: line.toString().trim().split(' ').map(Number),
    pid: child.pid as number,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      endProgram(child)
      await exited
    },
  }
}
