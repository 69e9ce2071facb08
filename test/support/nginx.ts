/**
 * Debian's nginx for tests: serves a folder of its own on a free port of the loopback.
 *
 * One process in the foreground, with every path in a folder that is removed with it. What it logged
 * as an error is printed when the test that started it fails.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFailed } from 'vitest'
import type { Certificate } from '../../packages/ferry/src/testing/certificates.ts'
import { freePorts } from './server-process.ts'
import { TempDir } from './temp-dir.ts'
import { requireTool } from './tools.ts'

/** What the server does otherwise than by default. */
export interface NginxOptions {
  /** Bytes per second of each connection. */
  readonly limitRate?: number
  /** Connections that are served at once; further ones get 503. */
  readonly limitConnections?: number
  readonly certificate?: Certificate
  /** @defaultValue true */
  readonly etag?: boolean
  /** @defaultValue true */
  readonly ranges?: boolean
  readonly gzip?: boolean
}

/** A line of the access log; written when the answer has ended. */
export interface NginxRequest {
  readonly uri: string
  readonly status: number
  /** Bytes of content that the server has given to its system. */
  readonly sentBytes: number
  /** The Range that was asked for; empty without one. */
  readonly range: string
  readonly encoding: string
  /** The field X-Ferry-Test of the request. */
  readonly testField: string
}

// Another process may take the port between our look and nginx's.
const MAX_STARTS = 5
// Well in the past: a date close to now is no strong validator.
const MODIFIED_AT = Date.UTC(2024, 0, 1) / 1000
/** Printed once the sockets listen. */
const READY = 'event method'

/** A running nginx. */
export class Nginx implements AsyncDisposable {
  readonly port: number
  readonly #folder: TempDir
  readonly #child: ChildProcess
  readonly #scheme: 'http' | 'https'

  private constructor(options: {
    port: number
    folder: TempDir
    child: ChildProcess
    scheme: 'http' | 'https'
  }) {
    this.port = options.port
    this.#folder = options.folder
    this.#child = options.child
    this.#scheme = options.scheme
  }

  static async start(options: NginxOptions = {}): Promise<Nginx> {
    const program = requireTool('nginx')
    const folder = await TempDir.create()
    let log = ''
    onTestFailed(() => console.log(`nginx said:\n${log}`))
    await mkdir(folder.join('files'))
    if (options.certificate !== undefined) {
      await folder.write('key.pem', options.certificate.key)
      await folder.write('cert.pem', options.certificate.cert)
    }
    for (let starts = 1; starts <= MAX_STARTS; starts++) {
      const [port = 0] = await freePorts(1)
      const path = await folder.write('nginx.conf', formatConfig(folder.path, port, options))
      const child = spawn(program, ['-p', folder.path, '-c', path, '-e', 'stderr'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
      const listens = await new Promise<boolean>((resolve) => {
        child.stderr.on('data', () => log.includes(READY) && resolve(true))
        child.once('error', () => resolve(false))
        child.once('close', () => resolve(false))
      })
      const scheme = options.certificate === undefined ? 'http' : 'https'
      if (listens) return new Nginx({ port, folder, child, scheme })
    }
    await folder[Symbol.asyncDispose]()
    throw new Error(`nginx did not start:\n${log}`)
  }

  url(name: string): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/${name}`
  }

  /** Where its certificate is, for --cacert. */
  get certificatePath(): string {
    return this.#folder.join('cert.pem')
  }

  /** Puts a file there, as if last changed `ageDays` days before 2024. */
  async put(name: string, content: Buffer, { ageDays = 0 } = {}): Promise<void> {
    const path = join(this.#folder.path, 'files', name)
    await writeFile(path, content)
    await utimes(path, MODIFIED_AT, MODIFIED_AT - ageDays * 86_400)
  }

  /** The answers that have ended so far, oldest first. */
  async requests(): Promise<NginxRequest[]> {
    const text = await readFile(this.#folder.join('access.log'), 'utf8')
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as NginxRequest)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child.exitCode === null && child.signalCode === null) {
      const closed = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGKILL')
      await closed
    }
    await this.#folder[Symbol.asyncDispose]()
  }
}

function formatConfig(folder: string, port: number, options: NginxOptions): string {
  const { limitRate, limitConnections, certificate, etag, ranges, gzip } = options
  const tls = certificate === undefined ? '' : ' ssl'
  const lines = [
    `listen 127.0.0.1:${port}${tls};`,
    certificate && 'ssl_certificate cert.pem; ssl_certificate_key key.pem;',
    limitRate && `limit_rate ${limitRate};`,
    limitConnections && `limit_conn all ${limitConnections};`,
    etag === false && 'etag off;',
    ranges === false && 'max_ranges 0;',
    gzip === true && 'gzip on; gzip_types *; gzip_min_length 1;',
  ]
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
  log_format json escape=json '{"uri":"$request_uri","status":$status,"sentBytes":$body_bytes_sent,'
    '"range":"$http_range","encoding":"$sent_http_content_encoding",'
    '"testField":"$http_x_ferry_test"}';
  access_log ${folder}/access.log json;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  # Without sendfile, limit_rate holds from moment to moment instead of once a second.
  sendfile off;
  limit_conn_zone $server_name zone=all:1m;
  server {
    server_name ferry.test;
    root ${folder}/files;
    ${lines.filter((line) => typeof line === 'string' && line !== '').join('\n    ')}
  }
}
`
}
