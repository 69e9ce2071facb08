/** Which door a request goes to, and what its URL means below the mount of the server. Pure. */
import type { IncomingHttpHeaders } from 'node:http'
import { parseUploadPath } from './doors/upload-location.ts'

export type DoorName = 'indexedcp' | 'tus' | 'ietf'

/** What a request asks for. */
export interface UploadTarget {
  /** Begins with `/`. */
  readonly path: string
  readonly query: URLSearchParams
}

/** What is looked at to choose a door. */
export interface RoutedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/**
 * Reads the target of a request.
 * @param mount what stands before the paths of the doors; empty, or `/prefix`
 * @returns undefined for what is not below the mount
 */
export function parseTarget(target: string, mount: string): UploadTarget | undefined {
  // RFC 9112 §3.2.2: a client may send the absolute form to any server.
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, '')
  const [path = '', ...rest] = relative.split('?')
  if (!path.startsWith(`${mount}/`)) return undefined
  return { path: path.slice(mount.length), query: new URLSearchParams(rest.join('?')) }
}

/** Undefined for what no door knows. */
export function chooseDoor({ method, path, headers }: RoutedRequest): DoorName | undefined {
  if (path === '/upload' || path.startsWith('/upload/')) return isIndexedCp(method, path)
  const uploadPath = parseUploadPath(path)
  if (uploadPath === undefined) return undefined
  if (headers['tus-resumable'] !== undefined) return 'tus'
  if (isDraft(headers)) return 'ietf'
  // The draft asks for the offset, and cancels, with no field of its own.
  const methods =
    uploadPath.type === 'upload' ? ['HEAD', 'PATCH', 'DELETE', 'GET', 'PUT'] : ['POST', 'PUT']
  return methods.includes(method) ? 'ietf' : undefined
}

function isIndexedCp(method: string, path: string): DoorName | undefined {
  const methods: Readonly<Record<string, string>> = {
    '/upload': 'POST',
    '/upload/complete': 'POST',
    '/upload/status': 'GET',
  }
  return methods[path] === method ? 'indexedcp' : undefined
}

function isDraft(headers: IncomingHttpHeaders): boolean {
  return (
    headers['upload-complete'] !== undefined ||
    headers['upload-incomplete'] !== undefined ||
    headers['upload-draft-interop-version'] !== undefined ||
    headers['content-type'] === 'application/partial-upload'
  )
}
