/**
 * What doors note beside the metadata of a client, in the same place: under keys with a space, which
 * no client can send. The words for name and type of a file are those that clients of tus use, so
 * that one door understands what came in by another. Pure.
 */

/** What doors know of an upload beyond the core. */
export interface UploadNotes {
  /** The field Upload-Concat of tus, as it came. */
  readonly concat?: string | undefined
  /** The field Upload-Metadata of tus, where it cannot be put together again from the metadata. */
  readonly tusMetadata?: string | undefined
}

const CONCAT = 'tus concat'
const TUS_METADATA = 'tus metadata'

type Metadata = Readonly<Record<string, string>>

/** The metadata of a client with what a door notes. */
export function withNotes(metadata: Metadata, notes: UploadNotes): Metadata {
  const { concat, tusMetadata } = notes
  return {
    ...metadata,
    ...(concat === undefined ? {} : { [CONCAT]: concat }),
    ...(tusMetadata === undefined ? {} : { [TUS_METADATA]: tusMetadata }),
  }
}

export function notesOf(metadata: Metadata): UploadNotes {
  return { concat: metadata[CONCAT], tusMetadata: metadata[TUS_METADATA] }
}

/** What the client itself has told. */
export function withoutNotes(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.includes(' ')))
}

/** Whether it is only a part of what is to be put together (tus, concatenation). */
export function isPartial(metadata: Metadata): boolean {
  return notesOf(metadata).concat === 'partial'
}
