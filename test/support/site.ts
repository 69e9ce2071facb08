/**
 * What every server of the interop tests serves: a small and a big file, a certificate, and behind
 * the server a program of node:http for whatever takes more than a file (see node-origin-main.ts).
 *
 * The big file has 64 MiB, or 1 GiB with FERRY_BIG=1; it is random, so that no byte can stand in
 * another's place unseen.
 */
import { createHash, randomFillSync } from 'node:crypto'
import { chmod, mkdir, open } from 'node:fs/promises'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { startNodeOrigin } from './node-origin.ts'
import type { OriginServer } from './origin-server.ts'
import { TempDir } from './temp-dir.ts'

const MIB = 1_048_576

/** Content of /small.txt. */
export const SMALL_TEXT = 'A small file.\n'
/** Bytes of /big.bin. */
export const BIG_SIZE: number = process.env['FERRY_BIG'] === '1' ? 1024 * MIB : 64 * MIB

/** The test site. Whoever creates it disposes of it, after the servers that serve it. */
export class Site implements AsyncDisposable {
  /** The folder with the files. */
  readonly root: string
  /** Paths of the key, of the certificate, and of a file with both. */
  readonly tls: { readonly key: string; readonly cert: string; readonly both: string }
  /** The certificate itself, to be trusted. */
  readonly ca: string
  /** SHA-256 of /big.bin. */
  readonly bigDigest: string
  /** The program of node:http. */
  readonly backend: OriginServer
  readonly #folder: TempDir

  private constructor(parts: Omit<Site, typeof Symbol.asyncDispose> & { folder: TempDir }) {
    this.root = parts.root
    this.tls = parts.tls
    this.ca = parts.ca
    this.bigDigest = parts.bigDigest
    this.backend = parts.backend
    this.#folder = parts.folder
  }

  static async create(): Promise<Site> {
    const folder = await TempDir.create()
    // Workers of servers that gave up root have to get at it.
    await chmod(folder.path, 0o755)
    const root = folder.join('files')
    await mkdir(root)
    const { key, cert } = createCertificate('DNS:localhost,IP:127.0.0.1')
    const tls = {
      key: await folder.write('key.pem', key),
      cert: await folder.write('cert.pem', cert),
      both: await folder.write('both.pem', cert + key),
    }
    await folder.write('files/small.txt', SMALL_TEXT)
    const bigDigest = await writeBigFile(folder.join('files/big.bin'))
    const backend = await startNodeOrigin({ root, tls })
    return new Site({ root, tls, ca: cert, bigDigest, backend, folder })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.backend[Symbol.asyncDispose]()
    await this.#folder[Symbol.asyncDispose]()
  }
}

async function writeBigFile(path: string): Promise<string> {
  await using file = await open(path, 'w')
  const digest = createHash('sha256')
  for (const block of bigBlocks()) {
    digest.update(block)
    await file.write(block)
  }
  return digest.digest('hex')
}

/** Pieces of random content, BIG_SIZE bytes in all; one piece stays in memory at a time. */
export function* bigBlocks(blockBytes: number = MIB): Generator<Buffer> {
  for (let sent = 0; sent < BIG_SIZE; sent += blockBytes) {
    yield randomFillSync(Buffer.allocUnsafeSlow(Math.min(blockBytes, BIG_SIZE - sent)))
  }
}
