import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { type StoredSession, TlsSessionCache } from './tls-sessions.ts'

const certificate = new X509Certificate(createCertificate('DNS:server.test').cert)

function session(name: string, singleUse = true): StoredSession {
  return { ticket: Buffer.from(name), certificate, authorized: true, singleUse }
}

function nameOf(stored: StoredSession | undefined): string | undefined {
  return stored?.ticket.toString()
}

test('TlsSessionCache gives a ticket for single use once, the newest first', () => {
  const cache = new TlsSessionCache()
  cache.put('peer', session('one'))
  cache.put('peer', session('two'))

  const taken = [1, 2, 3].map(() => nameOf(cache.take('peer', () => true)))

  expect(taken).toEqual(['two', 'one', undefined])
})

test('TlsSessionCache gives another session as often as it is wanted', () => {
  const cache = new TlsSessionCache()
  cache.put('peer', session('one', false))
  cache.put('peer', session('two', false))

  const taken = [1, 2].map(() => nameOf(cache.take('peer', () => true)))

  expect(taken).toEqual(['two', 'two'])
  expect(cache.size).toBe(1)
})

test('TlsSessionCache forgets sessions that are not acceptable any more', () => {
  const cache = new TlsSessionCache()
  cache.put('peer', session('one'))

  expect(cache.take('peer', () => false)).toBeUndefined()
  expect(cache.take('peer', () => true)).toBeUndefined()
})

test('TlsSessionCache is bounded, for each peer and in all', () => {
  const cache = new TlsSessionCache()

  for (let index = 0; index < 100; index++) cache.put('peer', session(`${index}`))
  expect(cache.size).toBe(8)
  for (let index = 0; index < 1_000; index++) cache.put(`peer ${index}`, session('one'))

  expect(cache.size).toBe(256)
  expect(nameOf(cache.take('peer 999', () => true))).toBe('one')
  expect(cache.take('peer', () => true)).toBeUndefined()
})
