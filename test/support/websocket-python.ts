/** Debian's python3-websockets as a server that echoes. */
import { dirname, join } from 'node:path'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** Starts it; it listens on its first port. Compression is on there by default. */
export function startPythonEcho(): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'python3-websockets',
    path: requireTool('python3'),
    portCount: 1,
    configure: (_folder, [port]) =>
      Promise.resolve([
        join(import.meta.dirname, 'websocket-echo.py'),
        String(port),
        dirname(requireTool('python3-websockets')),
      ]),
  })
}
