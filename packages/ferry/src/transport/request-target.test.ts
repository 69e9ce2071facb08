import { expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import { HttpRequest } from './http-request.ts'
import { checkTarget, forwardTarget } from './request-target.ts'

test.each([
  ['GET', '/'],
  ['GET', '/a?b'],
  ['GET', 'http://h'],
  ['GET', 'https://h:1/a?b@c'],
  ['POST', 'ftp://h/a'],
  ['OPTIONS', '*'],
  ['OPTIONS', '/a'],
  ['OPTIONS', 'http://h:1'],
  ['CONNECT', 'h:443'],
  ['CONNECT', '[::1]:1'],
  ['CONNECT', '127.0.0.1:65535'],
])('checkTarget() takes %s %s', (method, target) => {
  expect(() => checkTarget(method, target)).not.toThrow()
})

test.each([
  ['GET', '*'],
  ['GET', ''],
  ['GET', 'a'],
  ['GET', 'h:443'],
  ['GET', '/a b'],
  ['GET', '/a\r\nX: y'],
  ['GET', '/ü'],
  ['GET', '/a#b'],
  ['GET', 'http://user:pw@h/'],
  ['GET', 'http://'],
  ['GET', 'http:///a'],
  ['OPTIONS', '**'],
  ['CONNECT', 'h'],
  ['CONNECT', 'h:'],
  ['CONNECT', 'h:0'],
  ['CONNECT', 'h:65536'],
  ['CONNECT', '::1:80'],
  ['CONNECT', 'user@h:80'],
  ['CONNECT', '/a'],
  ['CONNECT', 'http://h:80'],
])('checkTarget() refuses %s %j', (method, target) => {
  expect(() => checkTarget(method, target)).toThrow(LocalProtocolError)
})

test.each([
  ['GET', undefined, 'http://o.test/a?b'],
  ['GET', '/b', 'http://o.test/b'],
  ['OPTIONS', '*', 'http://o.test'],
  ['GET', 'http://other.test/x', 'http://other.test/x'],
  ['CONNECT', 'other.test:99', 'other.test:99'],
])('forwardTarget() of %s with target %j', (method, target, expected) => {
  const request = new HttpRequest(method, 'http://user:secret@o.test/a?b', { target })

  expect(forwardTarget(method, request.requestTarget, request.url)).toBe(expected)
})
