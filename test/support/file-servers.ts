/**
 * Servers as people run them to give out files: nginx, Apache, lighttpd, Caddy and Python's, each over
 * plain TCP, over TLS, and over HTTP/2 by ALPN where it speaks that.
 */
import { join } from 'node:path'
import { type FileSite, SLOW_BYTES_PER_SECOND } from './file-servers-site.ts'
import type { Scheme } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { TempDir } from './temp-dir.ts'
import { requireTool, type Tool } from './tools.ts'

/** A running server. Whoever starts it disposes of it. */
export interface FileServer extends AsyncDisposable {
  readonly log: string
  url(name: string, scheme: Scheme): string
}

/** A server of the table, and what it can do. */
export interface FileServerProgram {
  readonly name: string
  /** Its version of HTTP/1. */
  readonly version: '1.0' | '1.1'
  readonly speaksHttp2: boolean
  readonly knowsRanges: boolean
  /** What lies in `slow` is sent slowly. */
  readonly limitsRate: boolean
  readonly start: (site: FileSite) => Promise<FileServer>
}

export const FILE_SERVERS: readonly FileServerProgram[] = [
  {
    name: 'nginx',
    version: '1.1',
    speaksHttp2: true,
    knowsRanges: true,
    limitsRate: true,
    start: (site) => startProgram('nginx', formatNginx, site),
  },
  {
    name: 'apache2',
    version: '1.1',
    speaksHttp2: true,
    knowsRanges: true,
    limitsRate: true,
    start: (site) => startProgram('apache2', formatApache, site),
  },
  {
    name: 'lighttpd',
    version: '1.1',
    speaksHttp2: true,
    knowsRanges: true,
    // It counts by the second, which is long for files so small, and by connection over HTTP/2.
    limitsRate: false,
    start: (site) => startProgram('lighttpd', formatLighttpd, site),
  },
  {
    name: 'caddy',
    version: '1.1',
    speaksHttp2: true,
    knowsRanges: true,
    limitsRate: false,
    start: (site) => startProgram('caddy', formatCaddy, site),
  },
  {
    name: 'python3 -m http.server',
    version: '1.0',
    speaksHttp2: false,
    knowsRanges: false,
    limitsRate: false,
    start: startPython,
  },
]

/** What a server is told: its settings, and its arguments when they are in a file of that path. */
interface Settings {
  readonly text: string
  readonly args: (path: string) => readonly string[]
}

interface Place {
  readonly folder: string
  readonly ports: readonly number[]
  readonly site: FileSite
}

async function startProgram(
  tool: Tool,
  format: (place: Place) => Settings,
  site: FileSite,
): Promise<FileServer> {
  const server = await ServerProcess.start({
    name: tool,
    path: requireTool(tool),
    portCount: 2,
    configure: async (folder: TempDir, ports) => {
      const { text, args } = format({ folder: folder.path, ports, site })
      return args(await folder.write('settings', text))
    },
  })
  return toFileServer([server], server.ports)
}

/** Python's own server knows no TLS from the command line: a script of a few lines adds it. */
async function startPython(site: FileSite): Promise<FileServer> {
  const start = (args: (port: number) => readonly string[]): Promise<ServerProcess> =>
    ServerProcess.start({
      name: 'python3',
      path: requireTool('python3'),
      portCount: 1,
      configure: (_folder, [port]) => Promise.resolve(args(port as number)),
    })
  const plain = await start((port) => [
    ...['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', site.root],
  ])
  const script = join(import.meta.dirname, 'tls-file-server.py')
  const tls = await start((port) => [script, String(port), site.root, site.tls.both])
  return toFileServer([plain, tls], [...plain.ports, ...tls.ports])
}

/** The first port is the plain one, the second that of TLS. */
function toFileServer(
  processes: readonly ServerProcess[],
  [port, tlsPort]: readonly number[],
): FileServer {
  return {
    get log() {
      return processes.map(({ log }) => log).join('')
    },
    url: (name, scheme) => `${scheme}://127.0.0.1:${scheme === 'http' ? port : tlsPort}/${name}`,
    async [Symbol.asyncDispose]() {
      for (const process of processes) await process[Symbol.asyncDispose]()
    },
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

// ── Settings

function formatNginx({ folder, ports: [port, tlsPort], site }: Place): Settings {
  const text = `
daemon off;
worker_processes 1;
${isRoot() ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  # Without sendfile, limit_rate holds from moment to moment instead of once a second.
  sendfile off;
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl http2;
    ssl_certificate ${site.tls.cert};
    ssl_certificate_key ${site.tls.key};
    root ${site.root};
    location /slow/ { limit_rate ${SLOW_BYTES_PER_SECOND}; }
  }
}
`
  return { text, args: (path) => ['-p', folder, '-c', path, '-e', 'stderr'] }
}

const APACHE_MODULES = [
  ...['mpm_event', 'authz_core', 'env', 'ssl', 'socache_shmcb', 'http2', 'ratelimit'],
]

function formatApache({ folder, ports: [port, tlsPort], site }: Place): Settings {
  const modules = APACHE_MODULES.map(
    (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
  )
  const text = `
ServerRoot ${folder}
ServerName ferry.test
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog /dev/stderr
${modules.join('\n')}
Protocols h2 http/1.1
Listen 127.0.0.1:${port}
Listen 127.0.0.1:${tlsPort}
${isRoot() ? 'User www-data\nGroup www-data' : ''}
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 100
DocumentRoot ${site.root}
<Directory ${site.root}>
  Require all granted
</Directory>
<Location /slow/>
  SetOutputFilter RATE_LIMIT
  SetEnv rate-limit ${SLOW_BYTES_PER_SECOND / 1024}
</Location>
<VirtualHost 127.0.0.1:${tlsPort}>
  SSLEngine on
  SSLCertificateFile ${site.tls.cert}
  SSLCertificateKeyFile ${site.tls.key}
</VirtualHost>
`
  return { text, args: (path) => ['-f', path, '-DFOREGROUND'] }
}

function formatLighttpd({ ports: [port, tlsPort], site }: Place): Settings {
  const text = `
server.modules = ("mod_openssl")
server.document-root = "${site.root}"
server.bind = "127.0.0.1"
server.port = ${port}
# Without a type it sends no Last-Modified.
mimetype.assign = (".bin" => "application/octet-stream")
# It would give out a file for two seconds after that was replaced.
server.stat-cache-engine = "disable"
$SERVER["socket"] == "127.0.0.1:${tlsPort}" {
  ssl.engine = "enable"
  ssl.pemfile = "${site.tls.cert}"
  ssl.privkey = "${site.tls.key}"
}
`
  return { text, args: (path) => ['-D', '-f', path] }
}

function formatCaddy({ folder, ports: [port, tlsPort], site }: Place): Settings {
  const text = `
{
  admin off
  auto_https off
  storage file_system ${folder}
  servers {
    protocols h1 h2
  }
}
(site) {
  bind 127.0.0.1
  root * ${site.root}
  file_server
}
http://127.0.0.1:${port} {
  import site
}
https://127.0.0.1:${tlsPort} {
  tls ${site.tls.cert} ${site.tls.key}
  import site
}
`
  return { text, args: (path) => ['run', '--adapter', 'caddyfile', '--config', path] }
}
