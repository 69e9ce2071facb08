/** Debian's lighttpd: files itself, the rest from behind (mod_proxy). */
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** Starts lighttpd; it reloads by SIGUSR1, with a new process beside the one that ends. */
export async function startLighttpd(site: Site): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'lighttpd',
    path: requireTool('lighttpd'),
    portCount: 2,
    configure: async (folder, ports) => {
      const path = await folder.write('lighttpd.conf', formatConfig(folder.path, ports, site))
      return ['-D', '-f', path]
    },
  })
  return new OriginServer(server, () => server.replaceWorkers('SIGUSR1'))
}

function formatConfig(folder: string, ports: readonly number[], site: Site): string {
  const [port, tlsPort] = ports
  return `
server.modules = ("mod_openssl", "mod_proxy")
server.document-root = "${site.root}"
server.bind = "127.0.0.1"
server.port = ${port}
# Without a type it sends no Last-Modified.
mimetype.assign = (".txt" => "text/plain")
server.upload-dirs = ("${folder}")
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 60
server.stream-request-body = 2
server.stream-response-body = 2
server.feature-flags = ("server.graceful-restart-bg" => "enable")
$SERVER["socket"] == "127.0.0.1:${tlsPort}" {
  ssl.engine = "enable"
  ssl.pemfile = "${site.tls.cert}"
  ssl.privkey = "${site.tls.key}"
}
$HTTP["url"] == "/refused" {
  server.max-request-size = 1
}
$HTTP["url"] !~ "^/(small\\.txt|big\\.bin)$" {
  proxy.server = ("" => (("host" => "127.0.0.1", "port" => ${site.backend.port})))
  proxy.header = ("upgrade" => "enable")
}
`
}
