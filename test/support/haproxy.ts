/** Debian's haproxy in front of the site's node:http, for which it speaks TLS. */
import type { Http2Options } from './http2-options.ts'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** Starts haproxy with a master, which starts a new worker on SIGUSR2 and lets the old one end. */
export async function startHaproxy(site: Site, http2?: Http2Options): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'haproxy',
    path: requireTool('haproxy'),
    portCount: 2,
    configure: async (folder, ports) => {
      const path = await folder.write('haproxy.cfg', formatConfig(folder.path, ports, site, http2))
      return ['-W', '-db', '-f', path]
    },
  })
  return new OriginServer(server, () => server.replaceWorkers('SIGUSR2'))
}

function formatConfig(
  folder: string,
  ports: readonly number[],
  site: Site,
  http2: Http2Options | undefined,
): string {
  const [port, tlsPort] = ports
  // Without the socket a new worker would open the ports anew, and what waits at the old ones is lost.
  return `
global
  stats socket ${folder}/admin.sock level admin expose-fd listeners
  maxconn 200
  ${http2 === undefined ? '' : formatHttp2(http2)}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend site
  bind 127.0.0.1:${port}${http2 === undefined ? '' : ' proto h2'}
  bind 127.0.0.1:${tlsPort} ssl crt ${site.tls.both}${http2 === undefined ? '' : ' alpn h2,http/1.1'}
  default_backend node
backend node
  # More requests at once than haproxy has sockets for wait.
  server node 127.0.0.1:${site.backend.port} maxconn 100
`
}

/** Room for long heads, which have to fit into one buffer. */
function formatHttp2({ maxConcurrentStreams }: Http2Options): string {
  return `tune.h2.max-concurrent-streams ${maxConcurrentStreams}
  tune.bufsize 131072
  tune.http.maxhdr 1000`
}
