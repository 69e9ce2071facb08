import { expect, test } from 'vitest'
import { parseXml, type XmlElement } from './xml.ts'

const NAMESPACE = 'urn:example:one'

test('parseXml() gives elements, attributes and text', () => {
  const root = read(
    `<a xmlns="${NAMESPACE}" x="1 &amp; 2"> one <b/><![CDATA[<two>]]><!-- no --> &#x263A;</a>`,
  )

  expect(root).toEqual({
    name: 'a',
    attributes: new Map([['x', '1 & 2']]),
    text: 'one <two> \u263a',
    children: [{ name: 'b', attributes: new Map(), text: '', children: [] }],
  })
})

test('parseXml() goes by namespaces, whatever the prefix', () => {
  const root = read(
    `<m:a xmlns:m="${NAMESPACE}" xmlns:o="urn:example:two" o:x="1" y="2">` +
      '<o:b>no<m:c/></o:b><c>no</c><m:c>yes<o:d>no</o:d></m:c></m:a>',
  )

  expect(Object.fromEntries(root.attributes)).toEqual({ y: '2' })
  expect(root.children.map(({ name, text }) => [name, text])).toEqual([['c', 'yes']])
})

test.each<[encoding: string, bytes: Uint8Array]>([
  ['UTF-8', Buffer.from('<a>\u00fc</a>')],
  ['UTF-8 with a mark', Buffer.from('\ufeff<a>\u00fc</a>')],
  ['UTF-16, little-endian', Buffer.from('\ufeff<a>\u00fc</a>', 'utf16le')],
  ['UTF-16, big-endian', Buffer.from('\ufeff<a>\u00fc</a>', 'utf16le').swap16()],
  [
    'what is declared',
    Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xfc</a>', 'latin1'),
  ],
])('parseXml() reads %s', (_encoding, bytes) => {
  expect(read(bytes).text).toBe('\u00fc')
})

test.each<[what: string, document: string | Uint8Array, reason: RegExp]>([
  ['nothing', '', /must contain a root/],
  ['text', 'hello', /outside of root/],
  ['a cut document', '<a><b>', /^unusable: 1:6: unclosed tag: b$/],
  ['tags that cross', '<a><b></a></b>', /unexpected close tag/],
  ['two roots', '<a/><b/>', /only one root/],
  ['an unknown prefix', '<m:a/>', /unbound namespace prefix/],
  ['a bare ampersand', '<a>x?y=1&z=2</a>', /unclosed tag: a/],
  ['bytes that are not UTF-8', Uint8Array.of(0x3c, 0x61, 0x3e, 0xff), /not valid/],
  ['an unknown encoding', Buffer.from('<?xml version="1.0" encoding="x-none"?><a/>'), /x-none/],
  ['a long name', `<${'a'.repeat(100_000)}>`, /^.{1,210}$/],
])('parseXml() refuses %s', (_what, document, reason) => {
  expect(() => read(document)).toThrow(reason)
})

test('parseXml() knows no entities of the document and reads no other file', () => {
  const bomb = `<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><a>&z;</a>`
  const file = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'

  for (const document of [bomb, file]) expect(() => read(document)).toThrow(/undefined entity/)
})

test('parseXml() bounds depth and size', () => {
  const deep = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth)
  const foreign = `<a>${'<o:b xmlns:o="urn:example:two">'.repeat(40)}`

  expect(read(deep(32)).name).toBe('a')
  expect(() => read(deep(33))).toThrow(/nested more than 32 deep/)
  expect(() => read(foreign)).toThrow(/nested more than 32 deep/)
  expect(() => read(' '.repeat(16_777_217))).toThrow(/at most 16777216 bytes, got 16777217/)
})

function read(document: string | Uint8Array): XmlElement {
  return parseXml(document, (why) => new Error(`unusable: ${why}`))
}
