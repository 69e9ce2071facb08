/**
 * The content to send, out of what the options say. Files are read while they are sent, whatever
 * their size; standard input too, which can therefore be sent only once.
 */
import { createReadStream, type Stats } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { FormPart, RequestBodyInit } from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import { type ContentInit, fileContent } from 'ferry/transport'
import type { FetchOptions } from './fetch-options.ts'
import { openPipe, unreadable } from './option-files.ts'

/** Content, and what it is; undefined leaves the type to the client. */
export interface FetchBody {
  readonly body: RequestBodyInit
  readonly contentType: string | undefined
}

type BodyOptions = Pick<FetchOptions, 'json' | 'form' | 'multipart' | 'data' | 'dataRaw'>

/**
 * @returns undefined when nothing is to be sent
 * @throws {ConfigError} when a file cannot be read, JSON is none, or a field has no `=`
 */
export async function readBody(options: BodyOptions): Promise<FetchBody | undefined> {
  const { json, form = [], multipart, data, dataRaw } = options
  if (json !== undefined) return jsonBody(json)
  if (dataRaw !== undefined) return { body: dataRaw, contentType: undefined }
  if (data !== undefined) return dataBody(data)
  if (form.length > 0) return formBody(form, multipart === true)
  if (multipart === undefined) return undefined
  throw new ConfigError('multipart', 'Cannot send a form without fields: expected --form')
}

async function jsonBody(text: string): Promise<FetchBody> {
  const contentType = 'application/json'
  if (text.startsWith('@')) return { body: await openSource('json', text.slice(1)), contentType }
  checkJson(text)
  return { body: text, contentType }
}

/** A slip of the shell's quotes should not become a puzzle at the server. */
function checkJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (error) {
    // V8's message quotes the text, which may hold a secret.
    const position = / at position (\d+)/.exec((error as Error).message)?.[1]
    const where = position === undefined ? '' : ` at character ${Number(position) + 1}`
    throw new ConfigError(
      'json',
      `Cannot send --json: the text is no JSON${where}; --data sends any text`,
    )
  }
}

async function dataBody(text: string): Promise<FetchBody> {
  if (!text.startsWith('@')) return { body: text, contentType: undefined }
  const body = await openSource('data', text.slice(1))
  return { body, contentType: 'application/octet-stream' }
}

async function formBody(texts: readonly string[], multipart: boolean): Promise<FetchBody> {
  const fields = texts.map(parseFormField)
  if (fields.filter(({ path }) => path === '-').length > 1) {
    throw new ConfigError('form', 'Cannot send standard input in two fields of a --form')
  }
  if (!multipart && fields.every(({ path }) => path === undefined)) {
    const body = new URLSearchParams(fields.map(({ name, value }) => [name, value]))
    return { body, contentType: undefined }
  }
  const parts: FormPart[] = []
  for (const field of fields) parts.push(await partOf(field))
  return { body: parts, contentType: undefined }
}

interface FormField {
  readonly name: string
  readonly value: string
  /** Undefined for text. */
  readonly path: string | undefined
  readonly type: string | undefined
}

/** `name=text`, `name=@FILE`, `name=@FILE;type=image/png`; `name=@@text` is text with an @. */
function parseFormField(text: string): FormField {
  const equals = text.indexOf('=')
  if (equals <= 0) {
    throw new ConfigError('form', 'Cannot send a --form without a name: expected NAME=VALUE')
  }
  const name = text.slice(0, equals)
  const value = text.slice(equals + 1)
  if (value.startsWith('@@')) {
    return { name, value: value.slice(1), path: undefined, type: undefined }
  }
  if (!value.startsWith('@')) return { name, value, path: undefined, type: undefined }
  const [, path, type] = /^@(.*?)(?:;type=([^;]+))?$/s.exec(value) as RegExpExecArray
  return { name, value, path: path as string, type }
}

async function partOf({ name, value, path, type }: FormField): Promise<FormPart> {
  if (path === undefined) return { name, value }
  const filename = path === '-' ? 'stdin' : basename(path)
  return { name, value: await openSource('form', path), filename, contentType: type }
}

async function openSource(option: string, path: string): Promise<ContentInit> {
  if (path === '-') return process.stdin
  let found: Stats
  try {
    await access(path, constants.R_OK)
    found = await stat(path)
    if (found.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
    // A request that fails leaves it unread, which must not hold the process.
    if (found.isFIFO()) return openPipe(path).unref()
  } catch (cause) {
    throw unreadable(option, path, cause as NodeJS.ErrnoException)
  }
  // Only a file has a length.
  return found.isFile() ? fileContent(path) : createReadStream(path)
}
