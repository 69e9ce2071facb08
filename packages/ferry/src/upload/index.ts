/** Uploads that resume: by IndexedCP, tus, and the IETF's draft. */
export { RateLimit } from '../transfer/rate-limit.ts'
export { FileSource, type FileSourceOptions } from './file-source.ts'
export { MemorySource, type MemorySourceOptions } from './memory-source.ts'
export type { WaitReason } from './retry-upload.ts'
export { createMemoryOutbox, type MemoryOutboxOptions } from './memory-outbox.ts'
export {
  addContent,
  type AddContentOptions,
  addFile,
  type AddFileOptions,
  addFolder,
  type AddFolderOptions,
} from './outbox-add.ts'
export type {
  LeaseOptions,
  NewItem,
  Outbox,
  OutboxItem,
  OutboxLease,
  OutboxPart,
} from './outbox.ts'
export { sendItem, type SendItemOptions } from './send-item.ts'
export { defaultOutboxPath, openSqliteOutbox, type SqliteOutboxOptions } from './sqlite-outbox.ts'
export {
  type BackgroundOptions,
  UploadClient as IndexCPClient,
  type SentChunk,
  UploadClient,
} from './upload-client.ts'
export type { UploadClientOptions } from './upload-client-options.ts'
export {
  BufferedUploadError,
  type BufferedUploads,
  type FailedFile,
} from './buffered-upload-error.ts'
export type { SentItem } from './item-sender.ts'
export { OutboxSender, type OutboxSenderOptions } from './outbox-sender.ts'
export { StreamSource, type StreamSourceOptions } from './stream-source.ts'
export { Upload, upload, type UploadInput } from './upload.ts'
export type { CredentialProvider, CredentialRequest } from './upload-http.ts'
export type {
  UploadEvent,
  UploadOptions,
  UploadProgress,
  UploadResult,
  UploadState,
} from './upload-options.ts'
export type { NoteState, UploadNote, UploadProtocolName } from './upload-protocol.ts'
export type { UploadSource } from './upload-source.ts'
