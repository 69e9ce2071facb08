import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { type MirrorLinks, mirrorsFrom } from './metalink-headers.ts'

const URL_OF_RESPONSE = HttpUrl.parse('https://h/iso/a.iso')

test('mirrorsFrom() gives the mirrors, best first', () => {
  const { mirrors } = read([
    '<http://last/a.iso>; rel=duplicate, <http://two/a.iso>; rel=duplicate; pri=2; geo=DE',
    '<http://one/a.iso>; rel="duplicate"; pri=1; pref; geo=gb',
    '<https://preferred/a.iso>; rel=duplicate; pri=2; pref; depth=2',
    '</mirror/a.iso>; rel=duplicate; pri=3',
  ])

  expect(
    mirrors.map(({ url, priority, location, preferred }) => [
      url.href,
      priority,
      location,
      preferred,
    ]),
  ).toEqual([
    ['http://one/a.iso', 1, 'gb', true],
    ['https://preferred/a.iso', 2, undefined, true],
    ['http://two/a.iso', 2, 'de', false],
    ['https://h/mirror/a.iso', 3, undefined, false],
    ['http://last/a.iso', 999_999, undefined, false],
  ])
})

test('mirrorsFrom() gives each mirror once, at its best, and not the URL itself', () => {
  const { mirrors } = read([
    '<http://m/>; rel=duplicate; pri=5, <http://n/>; rel=duplicate; pri=2',
    '<http://m/>; rel=duplicate; pri=1, <https://h/iso/a.iso>; rel=duplicate; pri=1',
  ])

  expect(mirrors.map(({ url, priority }) => [url.href, priority])).toEqual([
    ['http://m/', 1],
    ['http://n/', 2],
  ])
})

test('mirrorsFrom() finds Metalink documents of both versions', () => {
  const { metalinks, mirrors } = read([
    '<a.iso.meta4>; rel=describedby; type="application/metalink4+xml"',
    '<a.metalink>; rel=describedby; type="Application/Metalink+XML; charset=utf-8"',
    '<a.iso.torrent>; rel=describedby; type="application/x-bittorrent"',
    '<a.iso.asc>; rel=describedby; type="application/pgp-signature", <b>; rel=describedby',
    '<c.meta4>; rel=alternate; type="application/metalink4+xml"',
  ])

  expect(metalinks.map(({ href }) => href)).toEqual([
    'https://h/iso/a.iso.meta4',
    'https://h/iso/a.metalink',
  ])
  expect(mirrors).toEqual([])
})

test('mirrorsFrom() gives nothing while no digest is known', () => {
  const links = [
    '<http://m/>; rel=duplicate',
    '<x>; rel=describedby; type=application/metalink4+xml',
  ]

  expect(read(links).mirrors).toHaveLength(1)
  expect(read(links).metalinks).toHaveLength(1)
  expect(read(links, false)).toEqual({ mirrors: [], metalinks: [] })
})

test.each([
  ['of another thing', '<http://m/>; rel=duplicate; anchor="http://other/"'],
  ['with another scheme', '<ftp://m/>; rel=duplicate'],
  ['that are no URLs', '<http://>; rel=duplicate'],
  ['with another relation', '<http://m/>; rel=duplicates'],
])('mirrorsFrom() passes over links %s', (_what, link) => {
  expect(read([link, '<http://good/>; rel=duplicate']).mirrors.map(({ url }) => url.href)).toEqual([
    'http://good/',
  ])
})

test.each(['0', '1000000', '-1', '1.5', 'x', ''])('mirrorsFrom() puts pri=%j last', (pri) => {
  const { mirrors } = read([`<http://m/>; rel=duplicate; pri=${pri}`])

  expect(mirrors.map(({ priority }) => priority)).toEqual([999_999])
})

test('mirrorsFrom() takes only so many links', () => {
  const links = Array.from({ length: 1001 }, (_, index) => `<http://m${index}/>; rel=duplicate`)

  expect(read([links.join(', ')]).mirrors).toHaveLength(1000)
})

function read(links: readonly string[], hasDigest = true): MirrorLinks {
  const fields = HeaderFields.from(links.map((link) => ['Link', link] as const))
  return mirrorsFrom(fields, { url: URL_OF_RESPONSE, hasDigest })
}
