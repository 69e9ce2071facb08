/** The receiving side of uploads: an upload core, its stores, and what it tells. */
export type { BlobList, BlobStore, UploadBlob } from './blob-store.ts'
export type { UploadContent } from './byte-source.ts'
export { DiskBlobStore } from './disk-blob-store.ts'
export { DiskJournalStore } from './disk-journal-store.ts'
export type { Digest, DigestAlgorithm } from './digest.ts'
export type { CollisionPolicy } from './final-name.ts'
export type { AppendOptions, JournalStore, UploadJournal } from './journal-store.ts'
export { MemoryBlobStore } from './memory-blob-store.ts'
export { MemoryJournalStore } from './memory-journal-store.ts'
export { UploadCore } from './upload-core.ts'
export { UploadFolder } from './upload-folder.ts'
export type {
  AckLevel,
  CreateUpload,
  UploadCoreOptions,
  UploadEvent,
  UploadLimits,
  UploadListener,
  UploadProblem,
  UploadStatus,
  WriteOptions,
} from './upload-options.ts'
export type { FinishRule } from './upload-record.ts'
export type { InterruptReason } from './upload-writer.ts'
