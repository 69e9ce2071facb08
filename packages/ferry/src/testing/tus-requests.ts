/** Requests of a client of tus, as far as most tests send them alike. */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createTusDoor } from '../receive/doors/tus-door.ts'
import type { DoorOptions } from '../receive/doors/door.ts'
import type { UploadCoreOptions } from '../receive/upload-options.ts'
import type { TestRequest, TestResponse } from './door-server.ts'
import { DoorSite } from './door-site.ts'

type Fields = Readonly<Record<string, string>>

export const VERSION = { 'Tus-Resumable': '1.0.0' }
export const CONTENT = { ...VERSION, 'Content-Type': 'application/offset+octet-stream' }
/** Names the file a.txt. */
export const FILENAME = { 'Upload-Metadata': 'filename YS50eHQ=' }

/** A core behind the door of tus. Whoever opens it closes it. */
export function openTusSite(
  core: Partial<UploadCoreOptions> = {},
  door: DoorOptions = {},
): Promise<DoorSite> {
  return DoorSite.open([createTusDoor(door)], core)
}

/** Creates an upload; with a body, it is the beginning of the file. */
export function post(site: DoorSite, fields: Fields, body?: string): Promise<TestResponse> {
  return site.send({
    method: 'POST',
    url: '/files',
    fields: { ...(body === undefined ? VERSION : CONTENT), ...fields },
    ...(body === undefined ? {} : { body }),
  })
}

/** Resolves with the URL of a new upload. */
export async function create(site: DoorSite, fields: Fields): Promise<string> {
  const answer = await post(site, fields)
  if (answer.status === 201) return site.resolve(answer)
  throw new Error(`Cannot create an upload: got ${answer.status} ${answer.body}`)
}

export function patch(
  site: DoorSite,
  url: string,
  offset: number,
  further: Partial<TestRequest> = {},
): Promise<TestResponse> {
  const fields = { ...CONTENT, 'Upload-Offset': String(offset), ...further.fields }
  return site.send({ method: 'PATCH', url, ...further, fields })
}

/** Sends a request without content. */
export function ask(
  site: DoorSite,
  method: string,
  url: string,
  fields: Fields = {},
): Promise<TestResponse> {
  return site.send({ method, url, fields: { ...VERSION, ...fields } })
}

/** The value of Upload-Checksum. */
export function checksum(algorithm: string, content: string): string {
  return `${algorithm} ${createHash(algorithm).update(content).digest('base64')}`
}

/** Opens a connection and sends on it the head of a PATCH, and the beginning of its content. */
export function beginPatch(
  url: string,
  { offset, framing, body }: { offset: number; framing: string; body: string },
): Socket {
  const { hostname, port, pathname } = new URL(url)
  const head = [
    `PATCH ${pathname} HTTP/1.1`,
    'Host: localhost',
    'Tus-Resumable: 1.0.0',
    'Content-Type: application/offset+octet-stream',
    `Upload-Offset: ${offset}`,
    framing,
  ]
  const socket = connect(Number(port), hostname)
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  return socket
}
