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
  ['GET', '/upload/statusXYZ', {}, undefined],
  ['POST', '/files', { 'tus-resumable': '1.0.0' }, 'tus'],
  ['HEAD', '/files/1', { 'tus-resumable': '1.0.0' }, 'tus'],
  ['POST', '/files', { 'upload-complete': '?1' }, 'ietf'],
  ['PATCH', '/files/1', { 'content-type': 'application/partial-upload' }, 'ietf'],
  ['DELETE', '/files/1', {}, 'ietf'],
  ['PUT', '/files/name', {}, 'ietf'],
  ['GET', '/files', {}, undefined],
  ['POST', '/', {}, undefined],
])('chooseDoor() for %s %s with %j: %s', (method, path, headers, door) => {
  expect(chooseDoor({ method, path, headers })).toBe(door)
})
