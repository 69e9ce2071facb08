/** Downloads that resume and are never mixed up. */
export { type Checksum, parseChecksum } from './checksum.ts'
export {
  Download,
  download,
  type DownloadEvent,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadResult,
  type DownloadState,
  partialFileExists,
} from './download.ts'
export { fileNameOf, safeFileName } from './file-name.ts'
