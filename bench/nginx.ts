/**
 * nginx as the server of the benchmarks: one worker, alone on its core. It serves a folder, takes
 * uploads at `/sink` and keeps them at `/keep`, and all of that over HTTP/1.1 and over HTTP/2, plain
 * and over TLS, each on a port of its own.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificate } from '../packages/ferry/src/testing/certificates.ts'
import { requireTool } from '../test/support/tools.ts'
import {
  type Command,
  createFolder,
  endProgram,
  onServerCore,
  removeFolder,
  startProgram,
} from './support.ts'

/** The memory benchmark holds a thousand connections; a proxied request takes two more. */
const WORKER_CONNECTIONS = 4096
const DESCRIPTORS = 8192
/** nginx starts in a few milliseconds; this is for a machine that is very busy. */
const NGINX_START_TIMEOUT_MS = 5000
/** More than any benchmark has at once on a connection: nginx's own bound is 128. */
const DEFAULT_HTTP2_STREAMS = 1000

/** How nginx is to serve. */
export interface NginxOptions {
  /** Requests at once that each HTTP/2 connection takes. @defaultValue 1000 */
  readonly http2Streams?: number
  /**
   * What `/body.json` gives over HTTP/2, from memory: many small requests on one connection are to
   * keep the client busy, not the server. @defaultValue the file of that name
   */
  readonly http2Body?: string | undefined
}

/** A running nginx that serves a folder. */
export interface Nginx extends AsyncDisposable {
  /** HTTP/1.1 alone, like the next one; without a slash at the end. */
  readonly url: string
  readonly tlsUrl: string
  /** HTTP/2 alone, by prior knowledge. */
  readonly http2Url: string
  /** HTTP/2, chosen by ALPN; a request over HTTP/1.1 is refused. */
  readonly http2TlsUrl: string
  /** The certificate to trust, PEM. */
  readonly certificatePath: string
  /** Where files are that were sent to `/keep`. */
  readonly keptFolder: string
}

/** Starts nginx for the files in `root`: one worker, alone on its core, with a folder of its own. */
export async function startNginx(root: string, options: NginxOptions = {}): Promise<Nginx> {
  const folder = createFolder()
  const { key, cert } = createCertificate('IP:127.0.0.1')
  const certificatePath = join(folder, 'cert.pem')
  writeFileSync(certificatePath, cert)
  writeFileSync(join(folder, 'key.pem'), key)
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const ports = await findFreePorts(['plain', 'tls', 'http2', 'http2Tls'])
  const { http2Streams = DEFAULT_HTTP2_STREAMS, http2Body } = options
  const place: NginxPlace = { folder, root, ports, http2Streams, http2Body }
  writeFileSync(join(folder, 'nginx.conf'), formatNginxConfig(place))
  const nginx: Command = [requireTool('nginx'), '-p', folder, '-c', join(folder, 'nginx.conf')]
  const child = startProgram(onServerCore(nginx), 'ignore')
  await waitForPort(ports.plain, () => readErrors(join(folder, 'error.log')))
  return {
    url: `http://127.0.0.1:${ports.plain}`,
    tlsUrl: `https://127.0.0.1:${ports.tls}`,
    http2Url: `http://127.0.0.1:${ports.http2}`,
    http2TlsUrl: `https://127.0.0.1:${ports.http2Tls}`,
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
  readonly ports: Readonly<Record<'plain' | 'tls' | 'http2' | 'http2Tls', number>>
  readonly http2Streams: number
  readonly http2Body: string | undefined
}

function formatNginxConfig({ folder, root, ports, http2Streams, http2Body }: NginxPlace): string {
  const bodyFromMemory =
    http2Body === undefined
      ? ''
      : `location = /body.json { default_type application/json; return 200 '${http2Body}'; }`
  // `return` alone would answer before the body is here and throw it away. A proxy reads it whole
  // first; what it then asks for has no body, and tells how long the request was.
  const takeBody = `
    proxy_pass http://127.0.0.1:${ports.plain}/taken;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Request-Length $request_length;
  `
  const site = `
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    root ${root};
    client_max_body_size 0;
    client_body_buffer_size 256k;
    location = /sink { client_body_in_file_only clean; ${takeBody} }
    location = /keep { client_body_in_file_only on; ${takeBody} }
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
        listen 127.0.0.1:${ports.plain};
        listen 127.0.0.1:${ports.tls} ssl;
        location = /taken { default_type text/plain; return 200 $http_x_request_length; }
        ${site}
      }
      server {
        listen 127.0.0.1:${ports.http2} http2;
        listen 127.0.0.1:${ports.http2Tls} ssl http2;
        # One write for the answers to many streams, instead of a call of sendfile for each.
        sendfile off;
        open_file_cache max=100;
        http2_max_concurrent_streams ${http2Streams};
        if ($server_protocol != HTTP/2.0) { return 505; }
        ${bodyFromMemory}
        ${site}
      }
    }
  `
}

async function findFreePorts<Name extends string>(
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const servers = names.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) server.close()
  return Object.fromEntries(names.map((name, index) => [name, ports[index]])) as Record<
    Name,
    number
  >
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
