/**
 * What the door of tus remembers of an upload, beside what the client has told of the file: as the
 * core's notes, which no client can set. Pure.
 */

/** What there is to remember. */
export interface UploadNotes {
  /** The field Upload-Concat as it came, of an upload that was put together from others. */
  readonly concat?: string | undefined
  /** The field Upload-Metadata, where it cannot be put together again from the metadata. */
  readonly metadata?: string | undefined
}

const CONCAT = 'tusConcat'
const METADATA = 'tusMetadata'

export function formatNotes({ concat, metadata }: UploadNotes): Record<string, string> {
  return {
    ...(concat === undefined ? {} : { [CONCAT]: concat }),
    ...(metadata === undefined ? {} : { [METADATA]: metadata }),
  }
}

export function parseNotes(notes: Readonly<Record<string, string>>): UploadNotes {
  return { concat: notes[CONCAT], metadata: notes[METADATA] }
}
