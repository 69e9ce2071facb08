/** Certificates for the examples, made by `openssl` in a folder that is gone at once. */
import { execFile } from 'node:child_process'
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A private key and its certificate, both PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Makes a certificate that is its own authority; `subject` is `IP:127.0.0.1`, for instance. */
export async function createCertificate(subject: string): Promise<Certificate> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
  const key = join(folder.path, 'key.pem')
  const cert = join(folder.path, 'cert.pem')
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=Ferry example', '-addext', `subjectAltName=${subject}`]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-days', '1', ...curve, ...names],
    ...['-keyout', key, '-out', cert],
  ])
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
}
