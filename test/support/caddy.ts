/** Debian's Caddy: files itself, the rest from behind. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** Starts Caddy; it reloads by `caddy reload`. How many streams it allows cannot be set. */
export async function startCaddy(
  site: Site,
  options: { readonly http2?: boolean } = {},
): Promise<OriginServer> {
  const protocols = options.http2 === true ? 'h1 h2 h2c' : 'h1'
  const path = requireTool('caddy')
  const server = await ServerProcess.start({
    name: 'caddy',
    path,
    portCount: 3,
    configure: async (folder, ports) => {
      const config = await folder.write(
        'Caddyfile',
        formatConfig(folder.path, ports, { site, protocols }),
      )
      return ['run', '--adapter', 'caddyfile', '--config', config]
    },
  })
  return new OriginServer(server, async () => {
    const config = server.folder.join('Caddyfile')
    const args = ['--adapter', 'caddyfile', '--force', '--config', config]
    await promisify(execFile)(path, ['reload', ...args], { env: { HOME: server.folder.path } })
  })
}

function formatConfig(
  folder: string,
  ports: readonly number[],
  { site, protocols }: { site: Site; protocols: string },
): string {
  const [port, tlsPort, adminPort] = ports
  return `
{
  admin 127.0.0.1:${adminPort}
  auto_https off
  storage file_system ${folder}
  servers {
    protocols ${protocols}
  }
}
(site) {
  bind 127.0.0.1
  @files path /small.txt /empty.txt /medium.bin /big.bin
  handle @files {
    root * ${site.root}
    file_server
  }
  handle {
    reverse_proxy 127.0.0.1:${site.backend.port} {
      flush_interval -1
    }
  }
}
http://127.0.0.1:${port} {
  import site
}
https://127.0.0.1:${tlsPort} {
  tls ${site.tls.cert} ${site.tls.key}
  import site
}
`
}
