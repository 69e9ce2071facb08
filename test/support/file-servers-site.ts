/**
 * Files that several servers serve from one folder, and a certificate for them. What lies in the
 * folder `slow` is sent slowly by those servers that can limit a rate.
 */
import { chmod, mkdir, rename, utimes, writeFile } from 'node:fs/promises'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { TempDir } from './temp-dir.ts'

/** Bytes per second of each connection, or of each stream where the server limits those. */
export const SLOW_BYTES_PER_SECOND = 2_097_152

// Well in the past: a date close to now is no strong validator.
const FIRST_MODIFIED_AT = Date.UTC(2024, 0, 1)
/** Each file is a day younger than the one before, since times count by seconds. */
const DAY_MS = 86_400_000

/** The folder. Whoever creates it disposes of it, after the servers. */
export class FileSite implements AsyncDisposable {
  /** The folder with the files. */
  readonly root: string
  /** Paths of the key, of the certificate, and of a file with both. */
  readonly tls: { readonly key: string; readonly cert: string; readonly both: string }
  /** The certificate itself, to be trusted. */
  readonly ca: string
  readonly #folder: TempDir
  #files = 0

  private constructor(parts: Pick<FileSite, 'root' | 'tls' | 'ca'> & { folder: TempDir }) {
    this.root = parts.root
    this.tls = parts.tls
    this.ca = parts.ca
    this.#folder = parts.folder
  }

  static async create(): Promise<FileSite> {
    const folder = await TempDir.create()
    // Workers of servers that gave up root have to get at it.
    await chmod(folder.path, 0o755)
    const root = folder.join('files')
    await mkdir(`${root}/slow`, { recursive: true })
    const { key, cert } = createCertificate('IP:127.0.0.1')
    const tls = {
      key: await folder.write('key.pem', key),
      cert: await folder.write('cert.pem', cert),
      both: await folder.write('both.pem', cert + key),
    }
    return new FileSite({ root, tls, ca: cert, folder })
  }

  /** Puts a file there, or replaces it in one step: who is being sent the old one gets its rest. */
  async put(name: string, content: Buffer): Promise<void> {
    const number = ++this.#files
    const fresh = this.#folder.join(`fresh-${number}`)
    await writeFile(fresh, content)
    const modifiedAt = new Date(FIRST_MODIFIED_AT + number * DAY_MS)
    await utimes(fresh, modifiedAt, modifiedAt)
    await rename(fresh, `${this.root}/${name}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder[Symbol.asyncDispose]()
  }
}
