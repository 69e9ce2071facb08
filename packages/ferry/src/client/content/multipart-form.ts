/** What a multipart form consists of: parts in their order, and ways to gather them. */
import { basename } from 'node:path'
import type { HeaderFieldsInit } from '../../protocol/semantics/header-fields.ts'
import type { ContentInit } from '../../transport/content.ts'
import { fileContent } from '../../transport/file-content.ts'

/** What a part can hold: text, numbers and such as text, bytes, a Blob, a file's content, a stream. */
export type FormPartValue = ContentInit | number | boolean | bigint

/** What a part says about its value. */
export interface FormPartOptions {
  /** @defaultValue a File's own, `blob` for a Blob, that of what `createReadStream()` reads; else none */
  readonly filename?: string | undefined
  /** @defaultValue none for text; a Blob's own; else `application/octet-stream` */
  readonly contentType?: string | undefined
  /** Further fields. RFC 7578 §4.8: receivers ignore them. */
  readonly headers?: HeaderFieldsInit | undefined
}

/** One part of a form. */
export interface FormPart extends FormPartOptions {
  readonly name: string
  readonly value: FormPartValue
}

/** Parts that are added one by one; a name may stand there repeatedly. */
export class MultipartForm implements Iterable<FormPart> {
  readonly #parts: FormPart[] = []

  /** Adds a part. Nothing is read before it is sent; bytes must not change until then. */
  addField(name: string, value: FormPartValue, options: FormPartOptions = {}): this {
    this.#parts.push({ ...options, name, value })
    return this
  }

  /** Adds a part that is made already: that of a file, by `filePart()`, say. */
  add(part: FormPart): this {
    this.#parts.push(part)
    return this
  }

  /** The same as `addField()`, as aiohttp calls it. */
  add_field(name: string, value: FormPartValue, options: FormPartOptions = {}): this {
    return this.addField(name, value, options)
  }

  [Symbol.iterator](): Iterator<FormPart> {
    return this.#parts.values()
  }
}

/**
 * Makes a part of a file, which is opened for each sending; its name goes along without the folders.
 * @throws {TransferError} {ConfigError} as `fileContent()`
 */
export async function filePart(
  name: string,
  path: string,
  options: FormPartOptions = {},
): Promise<FormPart> {
  const value = await fileContent(path)
  return { ...options, name, value, filename: options.filename ?? basename(path) }
}
