/**
 * Reads the head and the trailers of a response out of a header list (RFC 9113 §8.1–8.3).
 * Whatever makes a response malformed is a fault of its stream.
 */
import { isFieldValue, isToken } from '../semantics/grammar.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import type { ResponseHead } from '../semantics/response-head.ts'
import { StreamFault } from './error-code.ts'
import type { HpackField } from './hpack-field.ts'

/** A head, and what it says of the content. */
export interface ResponseFields {
  readonly head: ResponseHead
  /** The value of Content-Length; undefined without one. */
  readonly contentLength: number | undefined
}

const STATUS = /^[1-9][0-9]{2}$/
const LENGTH = /^[0-9]{1,15}$/
/** RFC 9113 §8.2.2: what HTTP/1.1 says of a connection has no place here. */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/**
 * Reads the heads of one connection. A list of the very fields of the last one, which the decoder gives
 * again as long as their bytes are the same, gives the last head again.
 */
export class ResponseFieldReader {
  #fields: readonly HpackField[] = []
  #last: ResponseFields | undefined

  /**
   * Reads a head, interim or final.
   * @throws {StreamFault}
   */
  read(fields: readonly HpackField[]): ResponseFields {
    if (this.#last !== undefined && isSame(fields, this.#fields)) return this.#last
    const read = readResponseFields(fields)
    this.#fields = [...fields]
    this.#last = read
    return read
  }
}

function isSame(fields: readonly HpackField[], others: readonly HpackField[]): boolean {
  if (fields.length !== others.length) return false
  for (let index = 0; index < fields.length; index++) {
    if (fields[index] !== others[index]) return false
  }
  return true
}

function readResponseFields(fields: readonly HpackField[]): ResponseFields {
  const status = readStatus(fields[0])
  const { headers, contentLength } = readFields(fields, 1)
  return { head: { status, statusText: '', version: '2', headers }, contentLength }
}

/**
 * Reads trailers.
 * @throws {StreamFault}
 */
export function readTrailerFields(fields: readonly HpackField[]): HeaderFields {
  return readFields(fields, 0).headers
}

function readStatus(first: HpackField | undefined): number {
  if (first?.name !== ':status') throw malformed('no status comes first')
  // §8.6: the way to other protocols is another one.
  if (!STATUS.test(first.value) || first.value === '101') {
    throw malformed(`status ${JSON.stringify(first.value.slice(0, 10))}`)
  }
  return Number(first.value)
}

function readFields(
  fields: readonly HpackField[],
  from: number,
): { headers: HeaderFields; contentLength: number | undefined } {
  const names: string[] = []
  const values: string[] = []
  let contentLength: number | undefined
  for (let index = from; index < fields.length; index++) {
    const field = fields[index] as HpackField
    if (field.checked !== true) checkField(field)
    if (field.name === 'content-length') contentLength = readLength(field.value, contentLength)
    names.push(field.name)
    values.push(field.value)
  }
  return { headers: HeaderFields.fromParsed(names, values), contentLength }
}

/** Those of a table come again and again: what was found good once is remembered. */
function checkField(field: HpackField): void {
  const { name, value } = field
  // §8.3: pseudo-header fields stand first, none is repeated, and a response has only one.
  if (name.startsWith(':')) throw malformed(`a misplaced ${JSON.stringify(name.slice(0, 40))}`)
  // §8.2.1
  if (!isToken(name) || name !== name.toLowerCase()) {
    throw malformed(`field name ${JSON.stringify(name.slice(0, 40))}`)
  }
  if (CONNECTION_FIELDS.has(name)) throw malformed(`the field ${name}, which is of a connection`)
  if (!isFieldValue(value) || hasBlankEnd(value)) throw malformed(`the value of field ${name}`)
  field.checked = true
}

function hasBlankEnd(value: string): boolean {
  const first = value.charCodeAt(0)
  const last = value.charCodeAt(value.length - 1)
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09
}

function readLength(value: string, before: number | undefined): number {
  // RFC 9110 §8.6: two lengths, or one that is no number, could be read in two ways.
  if (before === undefined && LENGTH.test(value)) return Number(value)
  throw malformed('the field content-length')
}

function malformed(what: string): StreamFault {
  return new StreamFault('PROTOCOL_ERROR', `a malformed response: ${what}`)
}
