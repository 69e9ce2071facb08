/** What tells one version of a file from others without reading it, over restarts of the machine. Pure. */
import type { BigIntStats } from 'node:fs'

/**
 * Size, time of modification in ns, and number of the file. Not the device: btrfs, NFS and removable
 * disks are given another one whenever they are mounted.
 */
export function fingerprintOf({
  size,
  mtimeNs,
  ino,
}: Pick<BigIntStats, 'size' | 'mtimeNs' | 'ino'>): string {
  return `${size}-${mtimeNs}-${ino}`
}

/** Whether a fingerprint that somebody has noted is that of the version that was found. */
export function isSameVersion(noted: string, found: string): boolean {
  return withoutDevice(noted) === found
}

// Times before 1970 are negative. Older fingerprints end with the device.
const WITH_DEVICE = /^(\d+--?\d+-\d+)-\d+$/

function withoutDevice(fingerprint: string): string {
  return WITH_DEVICE.exec(fingerprint)?.[1] ?? fingerprint
}
