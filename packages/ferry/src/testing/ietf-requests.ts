/** Requests of a client of the draft on resumable uploads, as far as most tests send them alike. */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createIetfDoor, type IetfDoorOptions } from '../receive/doors/ietf-door.ts'
import { createTusDoor } from '../receive/doors/tus-door.ts'
import type { UploadCoreOptions } from '../receive/upload-options.ts'
import type { TestRequest, TestResponse } from './door-server.ts'
import { DoorSite } from './door-site.ts'

type Fields = Readonly<Record<string, string>>

export const WHOLE = { 'Upload-Complete': '?1' }
export const BEGINNING = { 'Upload-Complete': '?0' }
/** Names the file a.txt. */
export const FILENAME = { 'Content-Disposition': 'attachment; filename="a.txt"' }
/** Where the types of problems are. */
export const TYPES = 'https://iana.org/assignments/http-problem-types#'

/** A core behind the doors of the draft and of tus. Whoever opens it closes it. */
export function openIetfSite(
  core: Partial<UploadCoreOptions> = {},
  door: IetfDoorOptions = {},
): Promise<DoorSite> {
  return DoorSite.open([createTusDoor(), createIetfDoor(door)], core)
}

export function post(
  site: DoorSite,
  fields: Fields,
  body?: TestRequest['body'],
): Promise<TestResponse> {
  return site.send({
    method: 'POST',
    url: '/files',
    fields,
    ...(body === undefined ? {} : { body }),
  })
}

/** Resolves with the URL of a new upload. */
export async function begin(site: DoorSite, fields: Fields = {}, body?: string): Promise<string> {
  const answer = await post(site, { ...BEGINNING, ...FILENAME, ...fields }, body)
  if (answer.status === 201) return site.resolve(answer)
  throw new Error(`Cannot create an upload: got ${answer.status} ${answer.body}`)
}

export function append(
  site: DoorSite,
  url: string,
  offset: number,
  further: Partial<TestRequest> = {},
): Promise<TestResponse> {
  const fields = {
    'Content-Type': 'application/partial-upload',
    'Upload-Offset': String(offset),
    ...BEGINNING,
    ...further.fields,
  }
  return site.send({ method: 'PATCH', url, ...further, fields })
}

/** Asks where an upload stands. */
export function head(site: DoorSite, url: string, fields: Fields = {}): Promise<TestResponse> {
  return site.send({ method: 'HEAD', url, fields })
}

/** Opens a connection and sends on it the head of a request with 11 bytes, and the first 5 of them. */
export function beginRequest(
  site: DoorSite,
  { line, fields = [] }: { readonly line: string; readonly fields?: readonly string[] },
): Socket {
  const { hostname, port } = new URL(site.server.url)
  const lines = [
    `${line} HTTP/1.1`,
    'Host: localhost',
    'Upload-Complete: ?1',
    'Content-Type: application/partial-upload',
    'Upload-Offset: 0',
    'Content-Length: 11',
    ...fields,
  ]
  const socket = connect(Number(port), hostname)
  socket.write(`${lines.join('\r\n')}\r\n\r\nhello`)
  return socket
}

/** A digest as RFC 9530 writes it. */
export function digest(content: string, algorithm = 'sha-256'): string {
  const value = createHash(algorithm.replace('-', '')).update(content).digest('base64')
  return `${algorithm}=:${value}:`
}
