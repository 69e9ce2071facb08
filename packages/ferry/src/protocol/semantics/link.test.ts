import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findLink, parseLinks } from './link.ts'

test.each<[field: string, expected: [target: string, relations: string[]][]]>([
  ['</a?page=2>; rel="next"', [['/a?page=2', ['next']]]],
  ['</a>; rel=next', [['/a', ['next']]]],
  [
    '<https://h/a,b>; rel="next", </z>; rel="last"',
    [
      ['https://h/a,b', ['next']],
      ['/z', ['last']],
    ],
  ],
  ['</a>; title="x, y; z"; rel="prev  NEXT"', [['/a', ['prev', 'next']]]],
  ['</a>; rel="first"; rel="next"', [['/a', ['first']]]],
  ['</a>', [['/a', []]]],
  ['<>; rel=self', [['', ['self']]]],
  ['</a>; rel="n\\ext"', [['/a', ['next']]]],
  [
    ' </a> ; rel = "next" , </b>;rel=last ',
    [
      ['/a', ['next']],
      ['/b', ['last']],
    ],
  ],
  ['', []],
  ['/a; rel=next', []],
  ['</a; rel=next', []],
  ['</a>; rel="next', []],
  ['</a>; rel=next; , </b>; rel=last', []],
])('parseLinks(%j)', (field, expected) => {
  const links = parseLinks(field).map(({ target, relations }) => [target, relations])

  expect(links).toEqual(expected)
})

test('parseLinks() gives the parameters of each link', () => {
  const field = '</a>; rel=duplicate; pri=1; PREF; geo="d\\e"; pri=2, </b>'

  const parameters = parseLinks(field).map((link) => [...link.parameters])

  expect(parameters).toEqual([
    [
      ['rel', 'duplicate'],
      ['pri', '1'],
      ['pref', ''],
      ['geo', 'de'],
    ],
    [],
  ])
})

test('findLink() gives the first of its relation', () => {
  const field = '</1>; rel="first", </3>; rel="next", </4>; rel="next"'

  expect(findLink(field, 'next')).toBe('/3')
  expect(findLink(field, 'last')).toBeUndefined()
  expect(findLink(undefined, 'next')).toBeUndefined()
})

test('parseLinks() reads any text without failing', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(Array.isArray(parseLinks(text))).toBe(true)
    }),
  )
})
