/** Debian's squid: an HTTP proxy, over plain TCP and over TLS, that keeps no copies. */
import { execFileSync } from 'node:child_process'
import { ProxyServer, type ProxyServerOptions, type ProxyUser } from './proxy-server.ts'
import { ServerProcess } from './server-process.ts'
import type { TempDir } from './temp-dir.ts'
import { requireTool } from './tools.ts'

/** Starts squid; `tls` names the files of its certificate. */
export async function startSquid(
  options: ProxyServerOptions & { readonly tls: { readonly key: string; readonly cert: string } },
): Promise<ProxyServer> {
  const server = await ServerProcess.start({
    name: 'squid',
    path: requireTool('squid'),
    portCount: 2,
    configure: async (folder, ports) => {
      const access = await formatAccess(folder, options.user)
      const path = await folder.write('squid.conf', formatConfig(ports, access, options.tls))
      return ['-N', '-f', path]
    },
  })
  return new ProxyServer(server)
}

async function formatAccess(folder: TempDir, user: ProxyUser | undefined): Promise<string> {
  if (user === undefined) return 'http_access allow all'
  const hash = execFileSync(requireTool('openssl'), ['passwd', '-apr1', user.password])
  const path = await folder.write('passwords', `${user.username}:${hash.toString()}`)
  return `
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${path}
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all`
}

function formatConfig(
  ports: readonly number[],
  access: string,
  tls: { readonly key: string; readonly cert: string },
): string {
  return `
http_port 127.0.0.1:${ports[0]}
https_port 127.0.0.1:${ports[1]} tls-cert=${tls.cert} tls-key=${tls.key}
# Its sockets for names and for other caches stay on the loopback too.
udp_incoming_address 127.0.0.1
icp_port 0
pid_filename none
cache_log stdio:/dev/stderr
access_log stdio:/dev/stderr
cache deny all
pinger_enable off
${access}
`
}
