/**
 * What both sides of draft-ietf-httpbis-resumable-upload read and write alike, in the dialect of an
 * interop version. Pure. A field that breaks the grammar of structured fields (RFC 9651) counts as
 * absent.
 */
import { type BareItem, parseItemList } from '../semantics/structured-fields.ts'

/** Of interim responses. */
export const UPLOAD_RESUMPTION_SUPPORTED = 104
/** The media type of content that is appended. */
export const PARTIAL_UPLOAD = 'application/partial-upload'

const INVERTED_UP_TO = 3
const MEDIA_TYPE_FROM = 6

/** Whether a version says that an upload is incomplete, where the others say that it is complete. */
export function isInverted(interopVersion: number): boolean {
  return interopVersion <= INVERTED_UP_TO
}

/** Whether appended content has a media type of its own. */
export function needsMediaType(interopVersion: number): boolean {
  return interopVersion >= MEDIA_TYPE_FROM
}

/** The field that says whether an upload is complete. */
export function formatComplete(
  isComplete: boolean,
  dialect: { readonly isInverted: boolean },
): Record<string, string> {
  if (dialect.isInverted) return { 'Upload-Incomplete': isComplete ? '?0' : '?1' }
  return { 'Upload-Complete': isComplete ? '?1' : '?0' }
}

/**
 * Whether an upload is complete; undefined when the message does not say.
 * @param read gives a field by its name in lower case
 */
export function parseCompleteField(
  read: (name: string) => string | undefined,
  dialect: { readonly isInverted: boolean },
): boolean | undefined {
  const bare = parseBare(read(dialect.isInverted ? 'upload-incomplete' : 'upload-complete'))
  if (bare?.type !== 'boolean') return undefined
  return dialect.isInverted ? !bare.value : bare.value
}

/** Upload-Offset or Upload-Length; undefined when it is missing or cannot be read. */
export function parseBytesField(field: string | undefined): number | undefined {
  const bytes = parseIntegerField(field)
  return bytes === undefined || bytes < 0 ? undefined : bytes
}

/** Upload-Draft-Interop-Version, for instance. */
export function parseIntegerField(field: string | undefined): number | undefined {
  const bare = parseBare(field)
  return bare?.type === 'integer' ? bare.value : undefined
}

/** RFC 9651 §3.3: exactly one item. */
function parseBare(field: string | undefined): BareItem | undefined {
  const items = field === undefined ? [] : (parseItemList(field) ?? [])
  return items.length === 1 ? items[0]?.bare : undefined
}
