/** How one part of a form is written: its name, its fields, its value (RFC 7578 §4). */
import { basename } from 'node:path'
import { LocalProtocolError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { type Content, toContent } from '../../transport/content.ts'
import type { FormPart, FormPartValue } from './multipart-form.ts'

/** A part that is ready to be sent. */
export interface WrittenPart {
  /** Its fields, each with CRLF at its end; UTF-8 once it is bytes. */
  readonly head: string
  readonly content: Content
}

/** Fields of a part that follow from its name and options. */
const OWN_FIELDS = ['content-disposition', 'content-type'] as const
const BINARY = 'application/octet-stream'

/** Gives the parts of a form of either kind. */
export function* partsOf(form: FormData | Iterable<FormPart>): Generator<FormPart, void> {
  if (!(form instanceof FormData)) {
    yield* form
    return
  }
  for (const [name, value] of form) {
    // WHATWG HTML §4.10.22.7: line ends of names and text become CRLF, those of filenames stay.
    yield {
      name: toCrlf(name),
      value: typeof value === 'string' ? toCrlf(value) : value,
    }
  }
}

/**
 * Writes the fields of a part and brings its value into shape.
 * @throws {LocalProtocolError} naming the part, when that is not possible
 */
export function formatPart(part: FormPart): WrittenPart {
  const { name, value } = part
  try {
    const content = toContent(toContentInit(value))
    const filename = part.filename ?? filenameOf(value)
    const contentType = part.contentType ?? contentTypeOf(value, filename)
    const disposition =
      `Content-Disposition: form-data; name="${escapeName(name)}"` +
      (filename === undefined ? '' : `; filename="${escapeName(filename)}"`)
    return { head: `${disposition}\r\n${formatFields(part, contentType)}`, content }
  } catch (cause) {
    const { message } = cause as Error
    throw new LocalProtocolError(`Cannot send form part ${JSON.stringify(name)}: ${message}`, {
      cause,
    })
  }
}

/** Everything but Content-Disposition, checked to be what may stand in a field. */
function formatFields({ headers }: FormPart, contentType: string | undefined): string {
  const further = HeaderFields.from(headers)
  const repeated = OWN_FIELDS.find((name) => further.has(name))
  if (repeated !== undefined) {
    throw new LocalProtocolError(`${repeated} is no further field: use filename and contentType`)
  }
  const type = contentType === undefined ? [] : [['Content-Type', contentType] as const]
  return HeaderFields.from([...type, ...further]).lines
}

function toContentInit(value: FormPartValue): Exclude<FormPartValue, number | boolean | bigint> {
  const isPlain =
    typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
  return isPlain ? String(value) : value
}

function filenameOf(value: FormPartValue): string | undefined {
  // XHR §5.1: what FormData calls a Blob without a name.
  if (value instanceof Blob) return value instanceof File ? value.name : 'blob'
  // A stream of node:fs; aiohttp and the package form-data do the same.
  const isFileStream =
    typeof value === 'object' && 'path' in value && typeof value.path === 'string'
  return isFileStream ? basename(value.path as string) : undefined
}

/** RFC 7578 §4.4: text needs none; of anything else servers should not guess. */
function contentTypeOf(value: FormPartValue, filename: string | undefined): string | undefined {
  if (value instanceof Blob) return value.type === '' ? BINARY : value.type
  return typeof value === 'object' || filename !== undefined ? BINARY : undefined
}

// RFC 7578 §5.1 leaves it open; this is what WHATWG HTML §4.10.22.7 says, and nothing else is escaped.
const ESCAPES: Readonly<Record<string, string>> = { '\n': '%0A', '\r': '%0D', '"': '%22' }

function escapeName(name: string): string {
  if (typeof name !== 'string') throw new LocalProtocolError('its name is not text')
  return name.replaceAll(/[\n\r"]/g, (character) => ESCAPES[character] as string)
}

function toCrlf(text: string): string {
  return text.replaceAll(/\r\n|\r|\n/g, '\r\n')
}
