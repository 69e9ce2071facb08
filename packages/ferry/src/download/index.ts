/** Downloads that resume and are never mixed up. */
export {
  type Checksum,
  checkDigest,
  parseChecksum,
  strongestChecksum,
} from './integrity/checksum.ts'
export {
  digestFile,
  FileDigest,
  type FileDigestOptions,
} from '../transfer/integrity/file-digest.ts'
export { Download, download, partialFileExists } from './download.ts'
export type {
  DownloadEvent,
  DownloadOptions,
  DownloadProgress,
  DownloadProof,
  DownloadResult,
  DownloadState,
  OnExists,
} from './download-options.ts'
export {
  DownloadStatus,
  downloadWithResume,
  type DownloadWithResumeOptions,
  type DownloadWithResumeResult,
} from './download-with-resume.ts'
export { HostLimits } from './host-limits.ts'
export type { PieceHashes } from './integrity/piece-checker.ts'
export { RateLimit } from '../transfer/rate-limit.ts'
export type { ConnectionProgress } from './worker.ts'
export { fileNameOf, suggestFileName } from './naming/file-name.ts'
export { numberedName, safeFileName } from '../transfer/naming/safe-file-name.ts'
