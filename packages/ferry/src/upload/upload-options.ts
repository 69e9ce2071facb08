/** What an upload from Node may be told. */
import type { RequestClient } from '../client/http-client.ts'
import type { UploadSettings } from './upload-settings.ts'

export type { UploadEvent, UploadProgress, UploadResult, UploadState } from './upload-settings.ts'

/** Settings of an upload. */
export interface UploadOptions extends UploadSettings {
  /** Shared; its owner closes it. @defaultValue a client of the upload's own */
  readonly client?: RequestClient | undefined
}
