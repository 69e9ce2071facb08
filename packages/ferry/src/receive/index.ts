/** The receiving side of uploads: an upload core, its stores, and what it tells. */
export type { BlobDigest, BlobList, BlobStore, UploadBlob } from './blob-store.ts'
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
  UploadOutbox,
  UploadProblem,
  UploadStatus,
  WriteOptions,
} from './upload-options.ts'
export type { FinishRule } from './upload-record.ts'
export type { InterruptReason } from './upload-writer.ts'
export type { CrossOriginOptions } from './cross-origin.ts'
export type { Door, DoorContext, DoorOptions } from './doors/door.ts'
export { IndexedCpDoor } from './doors/indexedcp-door.ts'
export type { FilenameGenerator, IndexedCpDoorOptions } from './doors/indexedcp-door.ts'
export type { PathMode } from './doors/indexedcp-names.ts'
export type { IetfDoorOptions } from './doors/ietf-door.ts'
export { fastifyUploads } from './fastify-uploads.ts'
export type { FastifyScope } from './fastify-uploads.ts'
export { createSimpleServer, IndexCPServer } from './index-cp-server.ts'
export type { IndexCPServerOptions } from './index-cp-server.ts'
export { EncryptionKeys } from './encryption-keys.ts'
export type { EncryptionKey, EncryptionKeysOptions } from './encryption-keys.ts'
export { createKeyFile, generateKey, hashKey, KeyRing, readKeyFile, reloadKeyFile } from './keys.ts'
export type { ApiKey, KeyScope } from './keys.ts'
export type { RequestLimits } from './access.ts'
export type { HttpServerOptions } from './http-server.ts'
export { UploadServer } from './upload-server.ts'
export type {
  ListenOptions,
  UploadFolderServerOptions,
  UploadServerOptions,
} from './upload-server.ts'
export type { DoorName } from './upload-route.ts'
