/**
 * Names and values in the form application/x-www-form-urlencoded (WHATWG URL §5): the query of a URL
 * and the content of simple forms.
 */
import { LocalProtocolError } from '../../errors.ts'
import type { TypedContent } from './typed-content.ts'

const ENCODABLE: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'bigint'])

/** One value; undefined and null leave the name out. */
export type ParamValue = string | number | boolean | bigint | null | undefined

/** Names and values. A list of values repeats the name; order is kept. */
export type ParamsInit =
  | URLSearchParams
  | Iterable<readonly [name: string, value: ParamValue | readonly ParamValue[]]>
  | Readonly<Record<string, ParamValue | readonly ParamValue[]>>

/**
 * Encodes parameters as `a=1&b=x+y`; empty when there are none.
 * @throws {LocalProtocolError} when a value is neither text, number, boolean nor a list of such
 * @example
 * encodeParams({ q: 'two words', page: 2, tag: ['a', 'b'], after: undefined })
 * // 'q=two+words&page=2&tag=a&tag=b'
 */
export function encodeParams(params: ParamsInit): string {
  if (params instanceof URLSearchParams) return params.toString()
  const encoded = new URLSearchParams()
  for (const [name, value] of Symbol.iterator in params ? params : Object.entries(params)) {
    if (!isList(value)) append(encoded, name, value)
    else for (const one of value) append(encoded, name, one)
  }
  return encoded.toString()
}

/**
 * Gives a URL, absolute or relative, with parameters after those that it has.
 * @throws {LocalProtocolError} as `encodeParams()`
 * @example
 * appendParams('/find?a=1#top', { b: 2 }) // '/find?a=1&b=2#top'
 */
export function appendParams(url: string, params: ParamsInit): string {
  const query = encodeParams(params)
  if (query === '') return url
  const hashAt = url.indexOf('#')
  const end = hashAt === -1 ? url.length : hashAt
  const before = url.slice(0, end)
  return `${before}${separatorAfter(before)}${query}${url.slice(end)}`
}

/**
 * Makes the content of a form without files.
 * @throws {LocalProtocolError} as `encodeParams()`
 */
export function formContent(params: ParamsInit): TypedContent {
  // Without a charset: the type has none, and it is always UTF-8 (WHATWG URL §5.2).
  return {
    content: Buffer.from(encodeParams(params)),
    contentType: 'application/x-www-form-urlencoded',
  }
}

function separatorAfter(url: string): string {
  if (!url.includes('?')) return '?'
  return url.endsWith('?') || url.endsWith('&') ? '' : '&'
}

function isList(value: ParamValue | readonly ParamValue[]): value is readonly ParamValue[] {
  return Array.isArray(value)
}

function append(params: URLSearchParams, name: string, value: ParamValue): void {
  if (value === undefined || value === null) return
  if (!ENCODABLE.has(typeof value) || Number.isNaN(value)) {
    const got = Number.isNaN(value) ? 'NaN' : typeof value
    // `[object Object]` would be sent, and found out by the server at best.
    throw new LocalProtocolError(
      `Cannot encode parameter ${JSON.stringify(name)}: expected text, a number, a boolean or a ` +
        `list of such, got ${got}`,
    )
  }
  params.append(name, String(value))
}
