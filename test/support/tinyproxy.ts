/** Debian's tinyproxy: an HTTP proxy. */
import { ProxyServer, type ProxyServerOptions } from './proxy-server.ts'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** Starts tinyproxy; without a list of ports it lets CONNECT go to any. */
export async function startTinyproxy({ user }: ProxyServerOptions = {}): Promise<ProxyServer> {
  const server = await ServerProcess.start({
    name: 'tinyproxy',
    path: requireTool('tinyproxy'),
    portCount: 1,
    configure: async (folder, [port]) => {
      const auth = user === undefined ? '' : `BasicAuth ${user.username} ${user.password}`
      const config = `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\n${auth}\n`
      return ['-d', '-c', await folder.write('tinyproxy.conf', config)]
    },
  })
  return new ProxyServer(server)
}
