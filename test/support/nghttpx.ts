/** Debian's nghttpx in front of the site's node:http. */
import type { Http2Options } from './http2-options.ts'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** Starts nghttpx; on SIGHUP it starts a new process beside the one that ends. */
export async function startNghttpx(site: Site, http2: Http2Options): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'nghttpx',
    path: requireTool('nghttpx'),
    portCount: 2,
    configure: async (folder, ports) => {
      const config = await folder.write('nghttpx.conf', formatConfig(ports, site, http2))
      return [`--conf=${config}`]
    },
  })
  return new OriginServer(server, () => server.replaceWorkers('SIGHUP'))
}

function formatConfig(
  [port, tlsPort]: readonly number[],
  site: Site,
  { maxConcurrentStreams }: Http2Options,
): string {
  return `frontend=127.0.0.1,${port};no-tls
frontend=127.0.0.1,${tlsPort}
backend=127.0.0.1,${site.backend.port}
private-key-file=${site.tls.key}
certificate-file=${site.tls.cert}
no-ocsp=yes
workers=1
frontend-http2-max-concurrent-streams=${maxConcurrentStreams}
request-header-field-buffer=128K
max-request-header-fields=1000
response-header-field-buffer=128K
`
}
