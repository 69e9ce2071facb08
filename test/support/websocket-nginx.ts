/** Debian's nginx as a reverse proxy that lets upgrades through to a WebSocket server. */
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** Starts it before the server on `port`; it listens on its own first port. */
export function startWebSocketNginx(port: number): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 1,
    configure: async (folder, [own = 0]) => {
      const config = formatConfig(folder.path, own, port)
      return ['-p', folder.path, '-c', await folder.write('nginx.conf', config), '-e', 'stderr']
    },
  })
}

function formatConfig(folder: string, own: number, port: number): string {
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
    listen 127.0.0.1:${own};
    location / {
      proxy_pass http://127.0.0.1:${port};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
`
}
