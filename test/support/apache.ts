/** Debian's Apache with the event MPM: files itself, the rest from behind (mod_proxy_http). */
import type { Http2Options } from './http2-options.ts'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

const MODULES = ['mpm_event', 'authz_core', 'ssl', 'socache_shmcb', 'proxy', 'proxy_http']

/** Starts Apache; it reloads by SIGUSR1, as `apachectl graceful` does. */
export async function startApache(site: Site, http2?: Http2Options): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'apache',
    path: requireTool('apache2'),
    portCount: 2,
    configure: async (folder, ports) => {
      const path = await folder.write('apache.conf', formatConfig(folder.path, ports, site, http2))
      return ['-f', path, '-DFOREGROUND']
    },
  })
  return new OriginServer(server, () => server.replaceWorkers('SIGUSR1'))
}

function formatConfig(
  folder: string,
  ports: readonly number[],
  site: Site,
  http2: Http2Options | undefined,
): string {
  const [port, tlsPort] = ports
  return `
ServerRoot ${folder}
ServerName ferry.test
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog /dev/stderr
${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${http2 === undefined ? '' : formatHttp2(http2)}
Listen 127.0.0.1:${port}
Listen 127.0.0.1:${tlsPort}
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
# Processes of before a reload stay while they wait for what is behind, and take a place each.
ServerLimit 32
ProxyTimeout 5
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 100
KeepAliveTimeout 60
MaxKeepAliveRequests 0
DocumentRoot ${site.root}
<Directory ${site.root}>
  Require all granted
</Directory>
ProxyPassMatch ^/(small\\.txt|empty\\.txt|medium\\.bin|big\\.bin)$ !
ProxyPass / http://127.0.0.1:${site.backend.port}/ upgrade=ANY flushpackets=on
<VirtualHost 127.0.0.1:${tlsPort}>
  SSLEngine on
  SSLCertificateFile ${site.tls.cert}
  SSLCertificateKeyFile ${site.tls.key}
</VirtualHost>
`
}

/** Workers enough that requests that wait do not keep others from being answered. */
function formatHttp2({ maxConcurrentStreams }: Http2Options): string {
  return `
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
Protocols h2 h2c http/1.1
H2MaxSessionStreams ${maxConcurrentStreams}
H2MinWorkers 16
H2MaxWorkers 64
H2EarlyHints on
LimitRequestFields 1000
`
}
