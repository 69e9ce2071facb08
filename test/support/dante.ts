/**
 * Debian's dante: a SOCKS 5 proxy that asks nobody. Its user and password would be those of the
 * system; microsocks.ts is the one that asks.
 */
import { ProxyServer } from './proxy-server.ts'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** Starts dante. */
export async function startDante(): Promise<ProxyServer> {
  const server = await ServerProcess.start({
    name: 'dante',
    path: requireTool('danted'),
    portCount: 1,
    configure: async (folder, [port]) => {
      const path = await folder.write('danted.conf', formatConfig(port as number))
      return ['-f', path, '-p', folder.join('danted.pid')]
    },
  })
  return new ProxyServer(server)
}

function formatConfig(port: number): string {
  return `
logoutput: stderr
internal: 127.0.0.1 port = ${port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
${process.getuid?.() === 0 ? 'user.privileged: root\nuser.unprivileged: nobody' : ''}
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }
`
}
