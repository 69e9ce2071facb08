/** Digests as both sides of an upload write them, in Repr-Digest and Content-Digest (RFC 9530). Pure. */
import type { FieldDigest } from '../semantics/digest-fields.ts'
import { hexToBase64 } from './base64.ts'

/** RFC 9530 §7.2. */
const KEYS: Readonly<Record<FieldDigest['algorithm'], string>> = {
  sha512: 'sha-512',
  sha256: 'sha-256',
  sha1: 'sha',
  md5: 'md5',
}

/** The value of the field: RFC 9530 §2 and §3. */
export function formatDigest({ algorithm, hex }: FieldDigest): string {
  return `${KEYS[algorithm]}=:${hexToBase64(hex)}:`
}
