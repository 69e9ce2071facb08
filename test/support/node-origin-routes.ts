/**
 * What node-origin-main.ts and http2-origin-main.ts answer, over whichever version of HTTP.
 *
 *     GET  /NAME                  a file of the folder, with Last-Modified and If-Modified-Since
 *     POST /sink, PUT /sink       tells what came as JSON: see `Receipt`
 *     GET  /stall                 never answers
 *     GET  /chunked               three chunks
 *     GET  /trailers              three chunks and the trailer X-Sum
 *     GET  /hints                 103, then 200
 *     GET  /fields                four fields of FIELD_LENGTH characters
 *     GET  /status/CODE           that status without content
 *     POST /late                  as /sink, with 100 (Continue) only after LATE_CONTINUE_MS
 *     POST /refused               417 to `Expect: 100-continue`, without reading the content
 */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { pipeline, type Readable, type Writable } from 'node:stream'
import { FIELD_LENGTH, LATE_CONTINUE_MS, type Receipt } from './node-origin-api.ts'

/** A request as both node:http and the compatibility layer of node:http2 give it. */
export interface OriginRequest extends Readable {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly trailers: Receipt['trailers']
}

/** A response, likewise. */
export interface OriginResponse extends Writable {
  writeHead(status: number, fields?: OutgoingHttpHeaders): unknown
  addTrailers(fields: OutgoingHttpHeaders): void
  writeContinue(): void
  writeEarlyHints(hints: Record<string, string | string[]>): void
}

/** The listeners of a server for the files of a folder. */
export interface OriginRoutes {
  readonly answer: (request: OriginRequest, response: OriginResponse) => void
  readonly answerExpectation: (request: OriginRequest, response: OriginResponse) => void
}

/** Makes the listeners. */
export function createRoutes(root: string): OriginRoutes {
  const answer = (request: OriginRequest, response: OriginResponse): void => {
    const path = (request.url ?? '').replace(/\?.*$/, '')
    const status = /^\/status\/(\d{3})$/.exec(path)?.[1]
    if (status !== undefined) answerStatus(response, Number(status))
    else if (path === '/sink' || path === '/late') answerSink(request, response)
    else if (path === '/chunked') answerChunks(response)
    else if (path === '/trailers') answerTrailers(response)
    else if (path === '/hints') answerHints(response)
    else if (path === '/fields') answerFields(response)
    else if (path !== '/stall') answerFile(request, response, join(root, path))
  }
  return {
    answer,
    answerExpectation: (request, response) => {
      if (request.url === '/refused') {
        response.writeHead(417, { 'Content-Length': 0 })
        response.end()
        return
      }
      const delayMs = request.url === '/late' ? LATE_CONTINUE_MS : 0
      setTimeout(() => {
        response.writeContinue()
        answer(request, response)
      }, delayMs)
    },
  }
}

function answerStatus(response: OriginResponse, status: number): void {
  response.writeHead(status)
  response.end()
}

function answerFile(request: OriginRequest, response: OriginResponse, path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isFile() !== true) {
    answerStatus(response, 404)
    return
  }
  const modified = stats.mtime.toUTCString()
  if (request.headers['if-modified-since'] === modified) {
    response.writeHead(304, { 'Last-Modified': modified })
    response.end()
    return
  }
  response.writeHead(200, { 'Content-Length': stats.size, 'Last-Modified': modified })
  if (request.method === 'HEAD') response.end()
  // A client that goes away is no fault of the server.
  else pipeline(createReadStream(path, { highWaterMark: 262_144 }), response, () => {})
}

function answerSink(request: OriginRequest, response: OriginResponse): void {
  const digest = createHash('sha256')
  let length = 0
  request.on('data', (bytes: Buffer) => {
    digest.update(bytes)
    length += bytes.length
  })
  request.on('end', () => {
    const { method = '', headers, trailers } = request
    const receipt: Receipt = { method, length, sha256: digest.digest('hex'), headers, trailers }
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(receipt))
  })
  request.on('error', () => {})
}

function answerChunks(response: OriginResponse): void {
  for (const piece of ['one ', 'two ', 'three']) response.write(piece)
  response.end()
}

function answerTrailers(response: OriginResponse): void {
  response.writeHead(200, { Trailer: 'X-Sum' })
  response.addTrailers({ 'X-Sum': 'abc' })
  answerChunks(response)
}

function answerHints(response: OriginResponse): void {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
  response.writeHead(200, { 'Content-Length': 2 })
  response.end('ok')
}

function answerFields(response: OriginResponse): void {
  const letters = ['a', 'b', 'c', 'd']
  const fields = letters.map((letter) => [`X-Long-${letter}`, letter.repeat(FIELD_LENGTH)])
  response.writeHead(200, { ...Object.fromEntries(fields), 'Content-Length': 2 })
  response.end('ok')
}
