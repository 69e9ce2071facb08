import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { type MetalinkFile, parseMetalink } from './metalink.ts'

const V4 = 'xmlns="urn:ietf:params:xml:ns:metalink"'
const V3 = 'version="3.0" xmlns="http://www.metalinker.org/"'
const [MD5, SHA1, SHA256] = ['a'.repeat(32), 'b'.repeat(40), 'c'.repeat(64)]
const [PIECE_0, PIECE_1, PIECE_2] = ['0'.repeat(40), '1'.repeat(40), '2'.repeat(40)]

// As MirrorBrain and MirrorCache of openSUSE write it.
const MIRROR_BRAIN = `<?xml version="1.0" encoding="UTF-8"?>
<metalink ${V4}>
  <generator>MirrorCache</generator>
  <origin dynamic="true">http://download.example/iso/Leap-DVD.iso.meta4</origin>
  <published>2026-03-15T05:49:00Z</published>
  <publisher>
    <name>Example</name>
    <url>http://download.example</url>
  </publisher>
  <file name="Leap-DVD.iso">
    <size>10000000</size>
    <signature mediatype="application/pgp-signature">
-----BEGIN PGP SIGNATURE-----
    </signature>
    <hash type="md5">${MD5}</hash>
    <hash type="sha-1">${SHA1.toUpperCase()}</hash>
    <hash type="sha-256">${SHA256}</hash>
    <pieces length="4194304" type="sha-1">
      <hash>${PIECE_0}</hash>
      <hash>${PIECE_1}</hash>
      <hash>${PIECE_2}</hash>
    </pieces>
    <metaurl priority="9" mediatype="torrent">http://download.example/Leap-DVD.iso.torrent</metaurl>
    <!-- Mirrors which handle this country (DE): -->
    <url location="DE" priority="2">http://two.example/Leap-DVD.iso</url>
    <url location="de" priority="1">https://one.example/Leap-DVD.iso</url>
    <url location="de" priority="1">ftp://three.example/Leap-DVD.iso</url>
    <!-- File origin location: -->
    <url location="" priority="3">https://one.example/Leap-DVD.iso</url>
    <url>http://download.example/Leap-DVD.iso?a=1&amp;b=2</url>
  </file>
</metalink>
`

// As MirrorManager of Fedora writes it, with the digests of earlier versions beside the current ones.
const MIRROR_MANAGER = `<?xml version="1.0" encoding="utf-8"?>
<metalink ${V3} type="dynamic" pubdate="Thu, 21 May 2026 19:54:04 GMT" generator="mirrormanager" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1779326542</mm0:timestamp>
   <size>4057</size>
   <verification>
    <hash type="md5">${MD5}</hash>
    <hash type="sha256">${SHA256}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1779237150</mm0:timestamp>
     <size>4000</size>
     <verification>
      <hash type="sha256">${'d'.repeat(64)}</hash>
     </verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="US" preference="100">rsync://one.example/repomd.xml</url>
    <url protocol="http" type="http" location="FR" preference="98">http://fr.example/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="US" preference="99">https://us.example/repodata/repomd.xml</url>
   </resources>
  </file>
 </files>
</metalink>`

test('parseMetalink() reads version 4', () => {
  expect(parseMetalink(Buffer.from(MIRROR_BRAIN)).map(plain)).toEqual([
    {
      name: 'Leap-DVD.iso',
      size: 10_000_000,
      checksums: [
        { algorithm: 'md5', hex: MD5 },
        { algorithm: 'sha1', hex: SHA1 },
        { algorithm: 'sha256', hex: SHA256 },
      ],
      pieces: { algorithm: 'sha1', lengthBytes: 4_194_304, hexes: [PIECE_0, PIECE_1, PIECE_2] },
      urls: [
        ['https://one.example/Leap-DVD.iso', 1, 'de'],
        ['http://two.example/Leap-DVD.iso', 2, 'de'],
        ['http://download.example/Leap-DVD.iso?a=1&b=2', 999_999, undefined],
      ],
      metaUrls: [['http://download.example/Leap-DVD.iso.torrent', 9, 'torrent']],
    },
  ])
})

test('parseMetalink() reads version 3, whose preference counts the other way round', () => {
  expect(parseMetalink(MIRROR_MANAGER).map(plain)).toEqual([
    {
      name: 'repomd.xml',
      size: 4057,
      checksums: [
        { algorithm: 'md5', hex: MD5 },
        { algorithm: 'sha256', hex: SHA256 },
      ],
      pieces: undefined,
      urls: [
        ['https://us.example/repodata/repomd.xml', 2, 'us'],
        ['http://fr.example/repodata/repomd.xml', 3, 'fr'],
      ],
      metaUrls: [],
    },
  ])
})

test('parseMetalink() reads the pieces and torrents of version 3', () => {
  const [file] = parseMetalink(
    `<metalink ${V3}><files><file name="a"><size>5</size><verification>` +
      `<pieces length="2" type="sha1"><hash piece="0">${PIECE_0}</hash>` +
      `<hash piece="1">${PIECE_1}</hash><hash piece="2">${PIECE_2}</hash></pieces>` +
      '</verification><resources><url type="bittorrent" preference="90">http://h/a.torrent</url>' +
      '<url type="http">http://h/a</url></resources></file></files></metalink>',
  )

  expect(file?.pieces?.hexes).toEqual([PIECE_0, PIECE_1, PIECE_2])
  expect(plain(file as MetalinkFile)).toMatchObject({
    urls: [['http://h/a', 999_999, undefined]],
    metaUrls: [['http://h/a.torrent', 11, 'torrent']],
  })
})

test('parseMetalink() reads several files, and documents without a namespace', () => {
  const names = (document: string): string[] => parseMetalink(document).map(({ name }) => name)

  expect(names('<metalink><file name="a"/><file name="b"/></metalink>')).toEqual(['a', 'b'])
  expect(names('<metalink><files><file name="a"/></files></metalink>')).toEqual(['a'])
})

test.each<[name: string, expected: string]>([
  ['dir/sub/x.iso', 'x.iso'],
  ['../../etc/passwd', 'passwd'],
  ['/abs', 'abs'],
  ['C:\\Windows\\x.dll', 'x.dll'],
  ['..', '..'],
])('parseMetalink() drops the folders of %j', (name, expected) => {
  expect(parseFile(name, '').name).toBe(expected)
})

test('parseMetalink() takes the strongest pieces and passes over unknown digests', () => {
  const file = parseFile(
    'a',
    `<size/><hash type="x-new">zz</hash><hash>zz</hash><hash type="sha-256"/>` +
      `<pieces length="5" type="sha-1"><hash>${PIECE_0}</hash></pieces>` +
      `<pieces length="9" type="sha-256"><hash>${SHA256}</hash></pieces>` +
      `<pieces length="1" type="x-new"><hash>zz</hash></pieces>`,
  )

  expect(file).toMatchObject({
    checksums: [],
    size: undefined,
    pieces: { algorithm: 'sha256', lengthBytes: 9, hexes: [SHA256] },
  })
})

test('parseMetalink() resolves relative URLs where it knows the base', () => {
  const document = '<metalink><file name="a"><url>../a</url><url>http://</url></file></metalink>'
  const base = HttpUrl.parse('https://h/lists/a.meta4')

  expect(parseMetalink(document).map(({ urls }) => urls)).toEqual([[]])
  expect(parseMetalink(document, { base })[0]?.urls.map(({ url }) => url.href)).toEqual([
    'https://h/a',
  ])
})

test.each<[attributes: string, priority: number]>([
  ['priority="1"', 1],
  ['priority="999999"', 999_999],
  ['priority="0"', 999_999],
  ['priority="1000000"', 999_999],
  ['priority="x"', 999_999],
  ['preference="100"', 1],
  ['preference="0"', 101],
  ['preference="101"', 999_999],
])('parseMetalink() reads the rank of <url %s>', (attributes, priority) => {
  const file = parseFile('a', `<url ${attributes}>http://h/</url>`)

  expect(file.urls.map((one) => one.priority)).toEqual([priority])
})

test.each<[what: string, document: string, reason: RegExp]>([
  ['another document', '<html/>', /expected <metalink>, got <html>/],
  ['one without files', `<metalink ${V3}></metalink>`, /describes no file/],
  ['a file without a name', '<metalink><file/></metalink>', /a file has no name/],
  ['a name that is a folder', '<metalink><file name="a/"/></metalink>', /a file has no name/],
  ['a size that is none', inFile('<size>-1</size>'), /"a" has an unusable size "-1"/],
  ['a digest cut short', inFile('<hash type="md5">abc</hash>'), /unusable md5 digest/],
  ['pieces without length', inFile('<pieces type="sha-1"/>'), /length of pieces ""/],
  ['pieces of no length', inFile('<pieces type="sha-1" length="0"/>'), /length of pieces "0"/],
  [
    'a digest of a piece that is none',
    inFile('<pieces type="sha-1" length="1"><hash>x</hash></pieces>'),
    /unusable sha-1 digest of piece 0/,
  ],
  [
    'pieces that do not make the size',
    inFile(`<size>3</size><pieces type="sha-1" length="2"><hash>${PIECE_0}</hash></pieces>`),
    /number of pieces: expected 2, got 1/,
  ],
  [
    'pieces out of order',
    inFile(`<pieces type="sha-1" length="2"><hash piece="1">${PIECE_0}</hash></pieces>`),
    /order of pieces/,
  ],
  ['what is no XML', 'Not found', /^Cannot read the Metalink: 1:9: /],
])('parseMetalink() refuses %s', (_what, document, reason) => {
  expect(() => parseMetalink(document)).toThrow(ConfigError)
  expect(() => parseMetalink(document)).toThrow(reason)
})

test('parseMetalink() reads what was written, in either version', () => {
  const text = fc.stringMatching(/^[a-zA-Z0-9 .&<>"'\u00e9-]*[a-z0-9]$/)
  const file = fc.record({
    name: text,
    size: fc.maxSafeNat(),
    hex: fc.stringMatching(/^[0-9a-f]{64}$/),
    path: fc.stringMatching(/^[a-z0-9]{1,9}$/),
    rank: fc.integer({ min: 1, max: 101 }),
  })
  fc.assert(
    fc.property(fc.array(file, { minLength: 1, maxLength: 5 }), fc.boolean(), (files, isOld) => {
      const document = isOld ? writeVersion3(files) : writeVersion4(files)

      const read = parseMetalink(Buffer.from(document))

      expect(read.map(plain)).toEqual(
        files.map(({ name, size, hex, path, rank }) => ({
          name: name.trim(),
          size,
          checksums: [{ algorithm: 'sha256', hex }],
          pieces: undefined,
          urls: [[`http://h/${path}`, rank, undefined]],
          metaUrls: [],
        })),
      )
    }),
  )
})

interface Written {
  readonly name: string
  readonly size: number
  readonly hex: string
  readonly path: string
  readonly rank: number
}

function writeVersion4(files: readonly Written[]): string {
  const elements = files.map(
    ({ name, size, hex, path, rank }) =>
      `<file name="${escape(name)}"><size>${size}</size><hash type="sha-256">${hex}</hash>` +
      `<url priority="${rank}">\n http://h/${path} </url></file>`,
  )
  return `<metalink ${V4}>${elements.join('\r\n')}</metalink>`
}

function writeVersion3(files: readonly Written[]): string {
  const elements = files.map(
    ({ name, size, hex, path, rank }) =>
      `<file name="${escape(name)}"><size>${size}</size><verification>` +
      `<hash type="sha256">${hex}</hash></verification><resources>` +
      `<url type="http" preference="${101 - rank}">http://h/${path}</url></resources></file>`,
  )
  return `<metalink ${V3}><files>${elements.join('\n')}</files></metalink>`
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function inFile(content: string): string {
  return `<metalink><file name="a">${content}</file></metalink>`
}

function parseFile(name: string, content: string): MetalinkFile {
  const [file] = parseMetalink(`<metalink ${V4}><file name="${name}">${content}</file></metalink>`)
  return file as MetalinkFile
}

/** The same with URLs as texts, links as lists. */
function plain({ urls, metaUrls, ...rest }: MetalinkFile): object {
  return {
    ...rest,
    urls: urls.map(({ url, priority, location }) => [url.href, priority, location]),
    metaUrls: metaUrls.map(({ url, priority, mediaType }) => [url.href, priority, mediaType]),
  }
}
