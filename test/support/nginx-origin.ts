/** Debian's nginx with a master and a worker, as in service: files itself, the rest from behind. */
import type { Http2Options } from './http2-options.ts'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** What the server does otherwise than by default. */
export interface NginxOriginOptions {
  /** As nginx names them: `TLSv1.2 TLSv1.3`. */
  readonly tlsProtocols?: string
  /** Path of the certificate that those of clients must be signed by. */
  readonly clientCa?: string
  /** The path of a Unix domain socket to listen on too. */
  readonly socketPath?: string
  readonly http2?: Http2Options
}

/** Starts nginx; it reloads by SIGHUP, as `nginx -s reload` does. */
export async function startNginxOrigin(
  site: Site,
  options: NginxOriginOptions = {},
): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 2,
    configure: async (folder, ports) => {
      const path = await folder.write('nginx.conf', formatConfig(folder.path, ports, site, options))
      return ['-p', folder.path, '-c', path, '-e', 'stderr']
    },
  })
  return new OriginServer(server, () => server.replaceWorkers('SIGHUP'))
}

function formatConfig(
  folder: string,
  [port, tlsPort]: readonly number[],
  site: Site,
  { tlsProtocols, clientCa, socketPath, http2 }: NginxOriginOptions,
): string {
  const extras = [
    tlsProtocols && `ssl_protocols ${tlsProtocols};`,
    clientCa && `ssl_verify_client on; ssl_client_certificate ${clientCa};`,
    socketPath && `listen unix:${socketPath};`,
    http2 && formatHttp2(http2),
  ]
  const version = http2 === undefined ? '' : ' http2'
  return `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
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
  map $http_upgrade $connection_field { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port}${version};
    listen 127.0.0.1:${tlsPort} ssl${version};
    ssl_certificate ${site.tls.cert};
    ssl_certificate_key ${site.tls.key};
    ${extras.filter(Boolean).join('\n    ')}
    root ${site.root};
    client_max_body_size 0;
    location ~ ^/(small\\.txt|empty\\.txt|medium\\.bin|big\\.bin)$ { }
    # nginx passes no trailers on, but sends its own.
    location = /trailers { alias ${site.root}/small.txt; add_trailer X-Sum abc; }
    # It sends 100 by itself, but not for more content than it takes.
    location = /refused { client_max_body_size 1; proxy_pass http://127.0.0.1:${site.backend.port}; }
    location / {
      proxy_pass http://127.0.0.1:${site.backend.port};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_field;
    }
  }
}
`
}

/** Room for long fields on both sides, and no end of a connection after 1000 requests. */
function formatHttp2({ maxConcurrentStreams }: Http2Options): string {
  return `http2_max_concurrent_streams ${maxConcurrentStreams};
    keepalive_requests 1000000;
    large_client_header_buffers 8 64k;
    proxy_buffer_size 64k;
    proxy_buffers 8 64k;
    proxy_busy_buffers_size 128k;`
}
