/**
 * nginx as the server of the benchmarks: one worker, alone on its core. It serves a folder, takes
 * uploads at `/sink` and keeps them at `/keep`, and all of that over HTTP and over TLS.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificate } from '../packages/ferry/src/testing/certificates.ts'
import { requireTool } from '../test/support/tools.ts'
import { type Command, createFolder, endProgram, removeFolder, startProgram } from './support.ts'

const NGINX_CORE = '1'
/** The memory benchmark holds a thousand connections; a proxied request takes two more. */
const WORKER_CONNECTIONS = 4096
const DESCRIPTORS = 8192
/** nginx starts in a few milliseconds; this is for a machine that is very busy. */
const NGINX_START_TIMEOUT_MS = 5000

/** A running nginx that serves a folder over HTTP and over TLS. */
export interface Nginx extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  readonly tlsUrl: string
  /** The certificate to trust, PEM. */
  readonly certificatePath: string
  /** Where files are that were sent to `/keep`. */
  readonly keptFolder: string
}

/** Starts nginx for the files in `root`: one worker, alone on its core, with a folder of its own. */
export async function startNginx(root: string): Promise<Nginx> {
  const folder = createFolder()
  const { key, cert } = createCertificate('IP:127.0.0.1')
  const certificatePath = join(folder, 'cert.pem')
  writeFileSync(certificatePath, cert)
  writeFileSync(join(folder, 'key.pem'), key)
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const [port, tlsPort] = await findFreePorts()
  writeFileSync(join(folder, 'nginx.conf'), formatNginxConfig({ folder, root, port, tlsPort }))
  const nginx: Command = [requireTool('nginx'), '-p', folder, '-c', join(folder, 'nginx.conf')]
  const child = startProgram(['taskset', '-c', NGINX_CORE, ...nginx], 'ignore')
  await waitForPort(port, () => readErrors(join(folder, 'error.log')))
  return {
    url: `http://127.0.0.1:${port}`,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    certificatePath,
    keptFolder: join(folder, 'body'),
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      endProgram(child)
      await exited
      removeFolder(folder)
    },
  }
}

interface NginxPlace {
  readonly folder: string
  readonly root: string
  readonly port: number
  readonly tlsPort: number
}

function formatNginxConfig({ folder, root, port, tlsPort }: NginxPlace): string {
  // `return` alone would answer before the body is here and throw it away. A proxy reads it whole
  // first; what it then asks for has no body, and tells how long the request was.
  const takeBody = `
    proxy_pass http://127.0.0.1:${port}/taken;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Request-Length $request_length;
  `
  return `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log ${folder}/error.log;
    worker_rlimit_nofile ${DESCRIPTORS};
    events { worker_connections ${WORKER_CONNECTIONS}; }
    http {
      access_log off;
      sendfile on;
      tcp_nodelay on;
      keepalive_requests 1000000000;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      types { application/json json; }
      server {
        listen 127.0.0.1:${port};
        listen 127.0.0.1:${tlsPort} ssl;
        ssl_certificate ${folder}/cert.pem;
        ssl_certificate_key ${folder}/key.pem;
        root ${root};
        client_max_body_size 0;
        client_body_buffer_size 256k;
        location = /sink { client_body_in_file_only clean; ${takeBody} }
        location = /keep { client_body_in_file_only on; ${takeBody} }
        location = /taken { default_type text/plain; return 200 $http_x_request_length; }
      }
    }
  `
}

async function findFreePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = servers.map(async (server) => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  })
  const [first = 0, second = 0] = await Promise.all(ports)
  for (const server of servers) server.close()
  return [first, second]
}

async function waitForPort(port: number, explain: () => string): Promise<void> {
  const deadline = performance.now() + NGINX_START_TIMEOUT_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    if (performance.now() > deadline) throw new Error(`Cannot start nginx: ${explain()}`)
    await wait(20)
  }
}

function readErrors(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : 'it does not answer'
}
