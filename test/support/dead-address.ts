/**
 * A port of ::1 that takes no connection and refuses none: a listening socket whose queue is full, so
 * that the kernel drops what comes (as a network does that leads nowhere).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { requireTool } from './tools.ts'

const PROGRAM = `
import socket, sys, time
port = int(sys.argv[1])
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('::1', port))
server.listen(0)
clients = []
for _ in range(4):
    client = socket.socket(socket.AF_INET6)
    client.setblocking(False)
    client.connect_ex(('::1', port))
    clients.append(client)
print('dead', flush=True)
sys.stdin.read()
`

/** A dead port. Whoever opens it disposes of it. */
export class DeadAddress implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async open(port: number): Promise<DeadAddress> {
    const child = spawn(requireTool('python3'), ['-c', PROGRAM, String(port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    return new DeadAddress(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}
