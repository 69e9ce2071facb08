/**
 * A server that receives uploads, as a process: `receive-server.ts KIND FOLDER`. Prints its port once
 * it listens.
 */
import { createWriteStream } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { Server as TusServer } from '@tus/server'
import { type AckLevel, UploadServer } from 'ferry/receive'
import type { ServerKind } from './receive-process.ts'

/** More unfinished uploads than any benchmark begins. */
const MAX_UPLOADS = 20_000

const [kind, folder] = process.argv.slice(2) as [ServerKind, string]

const STARTS: Readonly<Record<ServerKind, () => Promise<number>>> = {
  ferry: () => startFerry('durable'),
  'ferry, ack: written': () => startFerry('written'),
  '@tus/server': () => {
    const tus = new TusServer({
      path: '/files',
      datastore: new FileStore({ directory: folder }),
    })
    return portOf(tus.listen({ host: '127.0.0.1', port: 0 }))
  },
  'append per chunk': () => portOf(createServer(appendChunk).listen(0, '127.0.0.1')),
}

process.stdout.write(`${await STARTS[kind]()}\n`)

async function startFerry(ack: AckLevel): Promise<number> {
  const server = await UploadServer.open(folder, {
    uploads: { ack, limits: { maxUploads: MAX_UPLOADS } },
  })
  return Number(new URL(await server.listen()).port)
}

async function portOf(server: Server): Promise<number> {
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

/** As the first Node server of IndexedCP does it: every chunk is appended by a stream of its own. */
function appendChunk(request: IncomingMessage, response: ServerResponse): void {
  const clientFilename = String(request.headers['x-file-name'])
  const actualFilename = basename(clientFilename)
  const chunkIndex = Number(request.headers['x-chunk-index'])
  request.pipe(createWriteStream(join(folder, actualFilename), { flags: 'a' }))
  // It answers when all has come, not when all is written.
  request.on('end', () => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(
      JSON.stringify({ message: 'Chunk received', actualFilename, chunkIndex, clientFilename }),
    )
  })
}
