/**
 * The process that fetches one file: `download-client.ts URL CA FILE`. Prints, as JSON, the status and
 * how long it took from loading Ferry on to the closed file; node's own start is not in it.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { BodySink } from 'ferry/transport'
import { reportAndExit } from './work-report.ts'

/** What the process tells. */
export interface DownloadReport {
  readonly status: number
  readonly ownMs: number
}

/** Frames are small, and a call for each would cost more than copying them together. */
const BLOCK_BYTES = 262_144

/** Writes as curl does: by blocking calls, which on tmpfs are but copies. */
class FileSink implements BodySink {
  readonly #file: number
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  #used = 0

  constructor(file: number) {
    this.#file = file
  }

  write(bytes: Buffer): boolean {
    if (bytes.length > BLOCK_BYTES - this.#used) this.flush()
    if (bytes.length > BLOCK_BYTES) {
      writeSync(this.#file, bytes)
    } else {
      this.#block.set(bytes, this.#used)
      this.#used += bytes.length
    }
    return true
  }

  /** Writes what is left. */
  flush(): void {
    writeSync(this.#file, this.#block, 0, this.#used)
    this.#used = 0
  }
}

const [url = '', caPath = '', path = ''] = process.argv.slice(2)
const startedAt = performance.now()
const status = await download()
const report: DownloadReport = { status, ownMs: performance.now() - startedAt }
reportAndExit(report)

/** By HTTP/2, if the server takes it. */
async function download(): Promise<number> {
  const { ConnectionPool, HttpRequest } = await import('ferry/transport')
  const tls = { ca: readFileSync(caPath, 'utf8') }
  await using pool = new ConnectionPool({ tls, maxConnectionsPerOrigin: 1 })
  const response = await pool.request(new HttpRequest('GET', url))
  const file = openSync(path, 'wx')
  const sink = new FileSink(file)
  await response.body.pipe(sink)
  sink.flush()
  closeSync(file)
  return response.status
}
