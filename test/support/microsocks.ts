/** Debian's microsocks: a SOCKS 5 proxy that can ask for user and password (RFC 1929). */
import { ProxyServer, type ProxyServerOptions } from './proxy-server.ts'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** Starts microsocks. */
export async function startMicrosocks({ user }: ProxyServerOptions = {}): Promise<ProxyServer> {
  const server = await ServerProcess.start({
    name: 'microsocks',
    path: requireTool('microsocks'),
    portCount: 1,
    configure: (_folder, [port]) => {
      const auth = user === undefined ? [] : ['-u', user.username, '-P', user.password]
      return Promise.resolve(['-i', '127.0.0.1', '-p', String(port), ...auth])
    },
  })
  return new ProxyServer(server)
}
