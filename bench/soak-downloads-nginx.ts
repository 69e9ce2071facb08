/**
 * nginx for the soak of downloads: each connection at the rate that the URL names, and a log that says
 * what each request cost.
 */
import { mkdirSync } from 'node:fs'
import { readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { ServerProcess } from '../test/support/server-process.ts'
import { requireTool } from '../test/support/tools.ts'

/** The field by which requests name the run that they are of. */
export const RUN_FIELD = 'X-Soak-Run'

/** A request that has ended. */
export interface SoakRequest {
  /** The run that it was of. */
  readonly run: string
  /** Bytes of content that the server has given to its system. */
  readonly sentBytes: number
  /** In epoch ms. */
  readonly startedAt: number
  readonly endedAt: number
}

interface LogLine {
  readonly run: string
  readonly sentBytes: number
  /** In seconds since the epoch. */
  readonly endedAt: number
  readonly tookSeconds: number
}

// Well in the past: a date close to now is no strong validator.
const FIRST_MODIFIED_AT = Date.UTC(2024, 0, 1)
/** Each version is a day younger than the one before, since times count by seconds. */
const DAY_MS = 86_400_000

/** A running nginx. Whoever starts it disposes of it. */
export class SoakNginx implements AsyncDisposable {
  readonly #process: ServerProcess

  private constructor(process: ServerProcess) {
    this.#process = process
  }

  static async start(): Promise<SoakNginx> {
    const process = await ServerProcess.start({
      name: 'nginx',
      path: requireTool('nginx'),
      portCount: 1,
      configure: async (folder, [port]) => {
        mkdirSync(folder.join('files'), { recursive: true })
        const path = await folder.write('nginx.conf', formatConfig(folder.path, port as number))
        return ['-p', folder.path, '-c', path, '-e', 'stderr']
      },
    })
    return new SoakNginx(process)
  }

  url(name: string, bytesPerSecond: number): string {
    return `http://127.0.0.1:${this.#process.ports[0]}/${bytesPerSecond}/${name}`
  }

  /** Puts a file there, or replaces it in one step: who is being sent the old one gets its rest. */
  async put(name: string, content: Buffer, version: number): Promise<void> {
    const path = this.#process.folder.join(`files/${name}`)
    const fresh = `${path}.new`
    await writeFile(fresh, content)
    const modifiedAt = modifiedAtOf(version)
    await utimes(fresh, modifiedAt, modifiedAt)
    await rename(fresh, path)
  }

  /** The requests so far of runs whose name begins so. */
  async requests(prefix: string): Promise<SoakRequest[]> {
    const log = await readFile(this.#process.folder.join('access.log'), 'utf8')
    return log
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine)
      .filter(({ run }) => run.startsWith(prefix))
      .map(({ run, sentBytes, endedAt, tookSeconds }) => ({
        run,
        sentBytes,
        startedAt: (endedAt - tookSeconds) * 1000,
        endedAt: endedAt * 1000,
      }))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]()
  }
}

/** What the server says of a version. */
export function lastModifiedOf(version: number): string {
  return modifiedAtOf(version).toUTCString()
}

function modifiedAtOf(version: number): Date {
  return new Date(FIRST_MODIFIED_AT + version * DAY_MS)
}

function formatConfig(folder: string, port: number): string {
  const field = `http_${RUN_FIELD.toLowerCase().replaceAll('-', '_')}`
  return `
    daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log stderr notice;
    events { worker_connections 512; }
    http {
      log_format json escape=json '{"run":"$${field}",'
        '"sentBytes":$body_bytes_sent,"endedAt":$msec,"tookSeconds":$request_time}';
      access_log ${folder}/access.log json;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      # Without sendfile, limit_rate holds from moment to moment instead of once a second.
      sendfile off;
      server {
        listen 127.0.0.1:${port};
        location ~ ^/(?<rate>[0-9]+)/(?<name>[^/]+)$ {
          alias ${folder}/files/$name;
          limit_rate $rate;
        }
      }
    }
  `
}
