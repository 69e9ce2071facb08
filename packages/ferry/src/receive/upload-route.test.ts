import { expect, test } from 'vitest'
import { chooseDoor, parseTarget } from './upload-route.ts'

test.each([
  ['/upload', '', '/upload', {}],
  ['/upload/status?filename=a%20b', '', '/upload/status', { filename: 'a b' }],
  ['/api/upload?x=1?2', '/api', '/upload', { x: '1?2' }],
  ['http://host:80/files/1', '', '/files/1', {}],
])('parseTarget() reads %s below "%s"', (target, mount, path, query) => {
  const parsed = parseTarget(target, mount)

  expect(parsed?.path).toBe(path)
  expect(Object.fromEntries(parsed?.query ?? [])).toEqual(query)
})

test.each([
  ['*', ''],
  ['/apis/upload', '/api'],
  ['/upload', '/api'],
  ['http://host', ''],
])('parseTarget() knows nothing of %s below "%s"', (target, mount) => {
  expect(parseTarget(target, mount)).toBeUndefined()
})

test.each([
  ['POST', '/upload', {}, 'indexedcp'],
  ['POST', '/upload/complete', {}, 'indexedcp'],
  ['GET', '/upload/status', {}, 'indexedcp'],
  ['GET', '/upload', {}, undefined],
  ['POST', '/upload/status', {}, undefined],
  ['GET', '/public-key', {}, 'indexedcp'],
  ['POST', '/public-key', {}, undefined],
  ['POST', '/upload-encrypted', {}, 'indexedcp'],
  ['POST', '/upload-encrypted-batch', {}, 'indexedcp'],
  ['POST', '/rotate-keys', {}, 'indexedcp'],
  ['GET', '/rotate-keys', {}, undefined],
  ['GET', '/upload/statusXYZ', {}, undefined],
  ['POST', '/files', { 'tus-resumable': '1.0.0' }, 'tus'],
  ['HEAD', '/files/1', { 'tus-resumable': '1.0.0' }, 'tus'],
  ['POST', '/files', { 'upload-complete': '?1' }, 'ietf'],
  ['PATCH', '/files/1', { 'content-type': 'application/partial-upload' }, 'ietf'],
  ['PATCH', '/files/1', { 'content-type': 'Application/Partial-Upload;a=b' }, 'ietf'],
  ['PATCH', '/files/1', { 'content-type': 'application/offset+octet-stream' }, 'tus'],
  ['POST', '/files/1', { 'x-http-method-override': 'PATCH' }, 'tus'],
  ['PATCH', '/files/1', { 'upload-checksum': 'sha1 AAAA' }, 'tus'],
  ['POST', '/files', { 'upload-length': '5' }, 'tus'],
  ['POST', '/files', { 'upload-length': '5', 'upload-complete': '?0' }, 'ietf'],
  ['POST', '/files', { 'upload-metadata': 'a' }, 'tus'],
  ['POST', '/files', { 'upload-defer-length': '1' }, 'tus'],
  ['POST', '/files', { 'upload-concat': 'partial' }, 'tus'],
  ['DELETE', '/files/1', {}, 'ietf'],
  ['PUT', '/files/name', {}, 'ietf'],
  ['GET', '/files', {}, undefined],
  ['POST', '/', {}, undefined],
])('chooseDoor() for %s %s with %j: %s', (method, path, headers, door) => {
  expect(chooseDoor({ method, path, headers })).toBe(door)
})
