/** Certificates for tests, made by `openssl` in a folder of their own that is gone at once. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A private key and its certificate, both PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

const KEY_OPTIONS = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Makes a self-signed certificate; `subject` as openssl writes it, `DNS:server.test` for instance. */
export function createCertificate(
  subject: string,
  options: { expired?: boolean } = {},
): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-certificate-'))
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  }
  const names = ['-subj', '/CN=Ferry test', '-addext', `subjectAltName=${subject}`]
  try {
    if (options.expired === true) {
      // `req -x509` makes no certificate of the past; `ca` does, with files of its own.
      writeFileSync(join(folder, 'ca.conf'), CA_CONFIG)
      writeFileSync(join(folder, 'index.txt'), '')
      openssl('req', '-new', ...KEY_OPTIONS, '-keyout', 'key.pem', '-out', 'request.pem', ...names)
      const dates = ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
      const files = ['-keyfile', 'key.pem', '-in', 'request.pem', '-out', 'cert.pem']
      openssl('ca', '-batch', '-selfsign', '-config', 'ca.conf', ...dates, ...files)
    } else {
      openssl('req', '-x509', ...KEY_OPTIONS, '-keyout', 'key.pem', '-out', 'cert.pem', ...names)
    }
    return {
      key: readFileSync(join(folder, 'key.pem'), 'utf8'),
      cert: readFileSync(join(folder, 'cert.pem'), 'utf8'),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const CA_CONFIG = `
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copyall
[any]
commonName = supplied
`
