/** Debian's nginx with TLS before a server of uploads, as people put it there; with HTTP/2 too. */
import type { Certificate } from '../../packages/ferry/src/testing/certificates.ts'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** How it is set up. */
export interface UploadNginxOptions {
  readonly certificate: Certificate
  /** Of the server behind it, without TLS. */
  readonly port: number
  readonly http2: boolean
  /** The most bytes of one request. @defaultValue no limit */
  readonly maxBodyBytes?: number
  /** Takes the whole of a request before the server hears of it, as is its default. */
  readonly buffers?: boolean
  /** Lets the server know which draft the client speaks, and so send interim responses. */
  readonly passesInterims?: boolean
}

/** It listens on its own first port. */
export function startUploadNginx(options: UploadNginxOptions): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 1,
    configure: async (folder, [own = 0]) => {
      await folder.write('key.pem', options.certificate.key)
      await folder.write('cert.pem', options.certificate.cert)
      const config = formatConfig(folder.path, own, options)
      return ['-p', folder.path, '-c', await folder.write('nginx.conf', config), '-e', 'stderr']
    },
  })
}

function formatConfig(folder: string, own: number, options: UploadNginxOptions): string {
  const { port, http2, maxBodyBytes = 0, buffers = false, passesInterims = false } = options
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${own} ssl${http2 ? ' http2' : ''};
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    client_max_body_size ${maxBodyBytes};
    location / {
      proxy_pass http://127.0.0.1:${port};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_request_buffering ${buffers ? 'on' : 'off'};
      ${passesInterims ? '' : 'proxy_set_header Upload-Draft-Interop-Version "";'}
    }
  }
}
`
}
