/** Debian's haproxy in front of the site's node:http, for which it speaks TLS. */
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** Starts haproxy with a master, which starts a new worker on SIGUSR2 and lets the old one end. */
export async function startHaproxy(site: Site): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'haproxy',
    path: requireTool('haproxy'),
    portCount: 2,
    configure: async (folder, ports) => {
      const path = await folder.write('haproxy.cfg', formatConfig(folder.path, ports, site))
      return ['-W', '-db', '-f', path]
    },
  })
  return new OriginServer(server, () => server.signal('SIGUSR2'))
}

function formatConfig(folder: string, ports: readonly number[], site: Site): string {
  const [port, tlsPort] = ports
  // Without the socket a new worker would open the ports anew, and what waits at the old ones is lost.
  return `
global
  stats socket ${folder}/admin.sock level admin expose-fd listeners
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend site
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${tlsPort} ssl crt ${site.tls.both}
  default_backend node
backend node
  server node 127.0.0.1:${site.backend.port}
`
}
