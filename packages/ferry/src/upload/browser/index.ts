/** Uploads from a page or worker: an outbox in IndexedDB, and what sends it. */
export type { BackgroundOptions } from '../background-rounds.ts'
export { BufferedUploadError, type FailedFile } from '../buffered-upload-error.ts'
export type { OutboxItem } from '../outbox.ts'
export type { Upload } from '../upload-handle.ts'
export type { CredentialProvider, CredentialRequest } from '../upload-http.ts'
export type { UploadNote, UploadProtocolName } from '../upload-protocol.ts'
export type { UploadEvent, UploadProgress, UploadResult, UploadState } from '../upload-settings.ts'
export {
  type AddFileOptions,
  UploadClient as IndexCPClient,
  UploadClient,
  type UploadClientOptions,
} from './browser-client.ts'
export { type BrowserUploadInput, type BrowserUploadOptions, upload } from './browser-upload.ts'
export { type IndexedDbOutboxOptions, openIndexedDbOutbox } from './indexeddb-outbox.ts'
