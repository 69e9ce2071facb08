/** The test site with the files that the tests of HTTP/2 want besides. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Site } from './site.ts'
import { digestOf } from './temp-dir.ts'

/** Bytes of /medium.bin: more than any window that is usual, and quickly carried. */
export const MEDIUM_SIZE = 10_485_760

/** A site, and what is known of its further files. Whoever creates it disposes of the site. */
export interface Http2Site {
  readonly site: Site
  /** SHA-256 of /medium.bin. */
  readonly mediumDigest: string
}

/** Creates a site with /medium.bin, which is random, and /empty.txt. */
export async function createHttp2Site(): Promise<Http2Site> {
  const site = await Site.create()
  const content = randomBytes(MEDIUM_SIZE)
  await writeFile(join(site.root, 'medium.bin'), content)
  await writeFile(join(site.root, 'empty.txt'), '')
  return { site, mediumDigest: digestOf(content) }
}
