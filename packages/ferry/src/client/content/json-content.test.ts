import { expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import { jsonContent } from './json-content.ts'

interface Node {
  name: string
  parent?: Node
  children: Node[]
}

const root: Node = { name: 'root', children: [] }
root.children.push({ name: 'a', children: [] }, { name: 'b', parent: root, children: [] })
const throwing = {
  toJSON() {
    throw new Error('not today')
  },
}
let deep: unknown = 1n
for (let level = 0; level < 100_000; level++) deep = [deep]

test.each([
  [{ a: [1, 'ä', null, undefined], b: undefined }, '{"a":[1,"ä",null,null]}'],
  [null, 'null'],
  ['', '""'],
  [Number.NaN, 'null'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
])('jsonContent() of %o', (value, text) => {
  expect(jsonContent(value)).toEqual({
    content: Buffer.from(text),
    contentType: 'application/json',
  })
})

test('jsonContent() keeps what the value was', () => {
  const value = { a: 1 }
  const { content } = jsonContent(value)
  value.a = 2

  expect(String(content as Uint8Array)).toBe('{"a":1}')
})

test.each<[string, unknown, string]>([
  ['undefined', undefined, 'Cannot send undefined as JSON: it has no form there'],
  ['a function', () => 1, 'Cannot send function as JSON'],
  ['a BigInt', 1n, 'Cannot send the value as JSON: $ is a BigInt'],
  ['a BigInt within', { list: [1, { 'a b': 2n }] }, ': $.list[1]["a b"] is a BigInt'],
  ['a boxed BigInt', [new Object(1n)], ': $[0] is a BigInt'],
  ['a cycle', root, ': $.children[1].parent leads back to $'],
  ['an inner cycle', { tree: root }, ': $.tree.children[1].parent leads back to $.tree'],
  ['toJSON() that gives a BigInt', [{ toJSON: () => 1n }], ': $[0] is a BigInt'],
  ['toJSON() that throws', { a: throwing }, ': $.a.toJSON() has thrown: not today'],
  [
    'a getter that throws',
    {
      get a() {
        throw new Error('no')
      },
    },
    ': $.a has thrown: no',
  ],
  ['one too deep for a path', deep, 'Cannot send the value as JSON: '],
])('jsonContent() refuses %s', (_name, value, message) => {
  expect(() => jsonContent(value)).toThrow(LocalProtocolError)
  expect(() => jsonContent(value)).toThrow(message)
})

test('jsonContent() takes what stands there twice without a cycle', () => {
  const shared = { a: 1 }

  expect(() => jsonContent([shared, shared, { b: 1n }])).toThrow('$[2].b is a BigInt')
})
