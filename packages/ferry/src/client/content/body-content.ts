/** Recognises what a caller gives as the body of a request, and what type it has by itself. */
import { type Content, type ContentInit, toContent } from '../../transport/content.ts'
import { multipartContent } from './multipart-content.ts'
import { type FormPart, MultipartForm } from './multipart-form.ts'
import { formContent } from './params.ts'

/** Bytes, text, a stream; a form in any of its shapes. */
export type RequestBodyInit =
  | ContentInit
  | FormData
  | MultipartForm
  | readonly FormPart[]
  | URLSearchParams

/**
 * Makes content of a body. `contentType` is undefined where the body does not say: for bytes and
 * streams.
 * @throws {LocalProtocolError} when it is nothing that can be sent
 */
export function bodyContent(body: RequestBodyInit): {
  readonly content: Content
  readonly contentType: string | undefined
} {
  if (body instanceof FormData || body instanceof MultipartForm || isPartList(body)) {
    return multipartContent(body)
  }
  if (body instanceof URLSearchParams) return formContent(body)
  return { content: toContent(body), contentType: typeOf(body) }
}

/** An empty list is content without bytes. */
function isPartList(body: object | string): body is readonly FormPart[] {
  if (!Array.isArray(body)) return false
  const first: unknown = body[0]
  return (
    typeof first === 'object' &&
    first !== null &&
    !(first instanceof Uint8Array) &&
    'name' in first &&
    'value' in first
  )
}

/** As fetch does (WHATWG Fetch §5.2, "extract a body"). */
function typeOf(body: ContentInit): string | undefined {
  if (typeof body === 'string') return 'text/plain;charset=UTF-8'
  return body instanceof Blob && body.type !== '' ? body.type : undefined
}
