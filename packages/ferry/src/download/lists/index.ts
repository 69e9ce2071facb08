/** Lists of downloads and of digests: Metalink, aria2's input files, patterns of URLs, SHA256SUMS. */
export {
  algorithmOfList,
  type ChecksumEntry,
  findChecksum,
  parseChecksumList,
} from '../integrity/checksum-list.ts'
export { representationDigests } from '../../protocol/semantics/digest-fields.ts'
export { expandUrl } from './expand-url.ts'
export {
  type InputItem,
  type InputList,
  type InputListOptions,
  parseInputList,
} from './input-list.ts'
export type { InputOptions } from './input-options.ts'
export {
  type MetalinkFile,
  type MetalinkMetaUrl,
  type MetalinkUrl,
  parseMetalink,
} from './metalink.ts'
export { type Mirror, type MirrorLinks, mirrorsFrom } from './metalink-headers.ts'
