import { expect, test } from 'vitest'
import { WishKeys } from './wish-key.ts'

const choose = (): undefined => undefined

class Fields {
  readonly a = 1
}
const fields = new Fields()

test.each([
  [
    { ca: 'x', insecure: true },
    { insecure: true, ca: 'x' },
  ],
  [{ ca: Buffer.from('x') }, { ca: Buffer.from('x') }],
  [
    { url: 'http://h', tls: { pins: ['a', 'b'] } },
    { url: 'http://h', tls: { pins: ['a', 'b'] } },
  ],
  [{ ca: 'x', key: undefined }, { ca: 'x' }],
  ['http://h', 'http://h'],
  [choose, choose],
  [{ headers: fields }, { headers: fields }],
])('equal wishes have equal names: %j and %j', (one, other) => {
  const keys = new WishKeys()

  expect(keys.keyOf([one])).toBe(keys.keyOf([other]))
})

test.each([
  [{ ca: 'x' }, { ca: 'y' }],
  [{ ca: Buffer.from('x') }, { ca: Buffer.from('y') }],
  [{ ca: ['x', 'y'] }, { ca: 'x,y' }],
  [{ ca: '{"a":1}' }, { ca: { a: 1 } }],
  [{ a: 'x', b: 'y' }, { a: 'x","b":"y' }],
  [false, 'false'],
  [undefined, 'undefined'],
  [() => undefined, () => undefined],
  [{ headers: new Fields() }, { headers: new Fields() }],
])('different wishes have different names: %j and %j', (one, other) => {
  const keys = new WishKeys()

  expect(keys.keyOf([one])).not.toBe(keys.keyOf([other]))
  expect(keys.keyOf([one, other])).not.toBe(keys.keyOf([other, one]))
})
