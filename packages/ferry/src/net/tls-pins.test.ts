import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { createCertificate } from '../testing/certificates.ts'
import { parsePins, publicKeyPin } from './tls-pins.ts'

const PIN = 'YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg='

test('parsePins() takes digests with and without sha256//', () => {
  expect(parsePins([PIN, `sha256//${PIN}`])).toEqual([PIN, PIN])
  expect(parsePins(undefined)).toBeUndefined()
})

test.each([
  [[]],
  [['']],
  [[PIN, 'sha256//']],
  [[PIN.slice(0, -1)]],
  [[PIN.replace('g=', 'h=')]],
  [[`sha1//${PIN}`]],
  [[` ${PIN}`]],
])('parsePins() fails with a ConfigError for %j', (pins) => {
  expect(() => parsePins(pins)).toThrow(ConfigError)
})

test('publicKeyPin() is what openssl computes', () => {
  const { cert } = createCertificate('DNS:server.test')
  const key = execFileSync('openssl', ['x509', '-pubkey', '-noout'], { input: cert })
  const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: key })
  const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der })

  expect(publicKeyPin(new X509Certificate(cert))).toBe(digest.toString('base64'))
})
