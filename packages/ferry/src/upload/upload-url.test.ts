import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { resolveUploadUrl } from './upload-url.ts'

test.each([
  ['relative to the URL that was asked', 'files/1', 'http://h/a/files', 'http://h/a/files/1'],
  ['from the root', '/x/1', 'http://h/a/files', 'http://h/x/1'],
  ['at another host', 'http://other:8080/1', 'http://h/files', 'http://other:8080/1'],
  [
    'with http behind a proxy that ends TLS',
    'http://h/files/1',
    'https://h/files',
    'https://h/files/1',
  ],
  [
    'with http and a port there',
    'http://h:8080/1?a=b',
    'https://h:8443/files',
    'https://h:8443/1?a=b',
  ],
  ['with http at another host', 'http://other/1', 'https://h/files', 'http://other/1'],
])('resolveUploadUrl() reads a Location %s', (_, location, endpoint, expected) => {
  const url = HttpUrl.parse(endpoint)

  expect(resolveUploadUrl(location, url, url).href).toBe(expected)
})

test.each(['ftp://h/1', 'http://'])('resolveUploadUrl() refuses %s', (location) => {
  const url = HttpUrl.parse('http://h/files')

  expect(() => resolveUploadUrl(location, url, url)).toThrow('its Location is no http URL')
})
