import { expect, test } from 'vitest'
import { type CrossOriginOptions, isForeignPage } from './cross-origin.ts'

const LISTED: CrossOriginOptions = { origins: ['https://app.example'] }

test.each<[string, CrossOriginOptions | undefined, string | undefined, string, boolean]>([
  ['a program, which names no origin', undefined, undefined, '127.0.0.1:3000', false],
  ['a page of the server itself', undefined, 'http://127.0.0.1:3000', '127.0.0.1:3000', false],
  ['the same by name', undefined, 'http://localhost:3000', 'localhost:3000', false],
  ['the same by IPv6', undefined, 'http://[::1]:3000', '[::1]:3000', false],
  ['another port of this machine', undefined, 'http://localhost:5173', 'localhost:3000', true],
  ['any page', undefined, 'https://evil.example', '127.0.0.1:3000', true],
  ['a name that leads here', undefined, 'http://evil.example:3000', 'evil.example:3000', true],
  ['a file, or a frame without origin', undefined, 'null', '127.0.0.1:3000', true],
  ['what is no origin', undefined, '::', '127.0.0.1:3000', true],
  ['a page that is listed', LISTED, 'https://app.example', '127.0.0.1:3000', false],
  ['one that is not', LISTED, 'https://evil.example', '127.0.0.1:3000', true],
  ['one that only begins so', LISTED, 'https://app.example.evil', '127.0.0.1:3000', true],
  ['any where all are listed', { origins: '*' }, 'https://any.example', '127.0.0.1:3000', false],
])('isForeignPage() for %s', (_, options, origin, host, foreign) => {
  expect(isForeignPage(options, { host, ...(origin !== undefined && { origin }) })).toBe(foreign)
})
