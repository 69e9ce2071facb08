/** Upload URLs: `/files/<id>` below the mount, as they are read and as clients are told them. Pure. */
import type { IncomingMessage } from 'node:http'
import { authorityOf, isEncrypted } from './http2-exchange.ts'

/**
 * How an upload URL is told: as a reference relative to the request's own URL, which stays right
 * behind any proxy; as an absolute URL, by the field Host; or in words of one's own.
 */
export type LocationStyle = 'relative' | 'absolute' | ((id: string) => string)

/** What a path below the mount means. */
export type UploadPath =
  | { readonly type: 'collection' }
  | { readonly type: 'upload'; readonly id: string }

/** Undefined for paths that have nothing to do with upload URLs. */
export function parseUploadPath(path: string): UploadPath | undefined {
  const [, rest] = /^\/files(?:\/([^/]*))?$/.exec(path) ?? [undefined, undefined]
  if (rest !== undefined && rest !== '') return { type: 'upload', id: rest }
  return path === '/files' || path === '/files/' ? { type: 'collection' } : undefined
}

/** Gives what an upload URL names, relative or absolute: its last segment. */
export function idFromUrl(url: string): string {
  return url
    .replace(/[?#].*$/, '')
    .split('/')
    .at(-1) as string
}

/** The Location of an upload, for the answer to a request on the collection or on anything in it. */
export function formatLocation(style: LocationStyle, request: IncomingMessage, id: string): string {
  if (typeof style === 'function') return style(id)
  const [path = ''] = (request.url ?? '').split('?', 1)
  // RFC 3986 §5.2.3: a relative reference takes the place of the last segment.
  const segment = path.split('/').at(-1)
  const reference = segment === 'files' ? `files/${id}` : id
  if (style === 'relative') return reference
  const scheme = isEncrypted(request) ? 'https' : 'http'
  return new URL(reference, `${scheme}://${authorityOf(request)}${path}`).href
}
