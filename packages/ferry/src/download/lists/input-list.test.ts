import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { type InputItem, parseInputList } from './input-list.ts'

const SHA256 = 'ab'.repeat(32)

test('parseInputList() reads files with their mirrors and options', () => {
  const { items, warnings } = parseInputList(
    [
      '# a comment',
      'https://one.example/a.iso\thttps://two.example/a.iso',
      '  out=image.iso',
      '\tdir=/iso images',
      '',
      '# between the options',
      '  # also indented',
      `  checksum = sha-256=${SHA256.toUpperCase()} `,
      'https://three.example/b',
    ].join('\n'),
  )

  expect(items).toMatchObject([
    {
      line: 2,
      urls: ['https://one.example/a.iso', 'https://two.example/a.iso'],
      options: {
        output: 'image.iso',
        dir: '/iso images',
        checksum: { algorithm: 'sha256', hex: SHA256 },
      },
    },
    { line: 9, urls: ['https://three.example/b'], options: { output: undefined, dir: undefined } },
  ])
  expect(warnings).toEqual([])
})

test('parseInputList() takes lists of Windows, with mark and CR', () => {
  const { items } = parseInputList('\ufeffhttp://h/a\r\n out=b\r\n\r\nhttp://h/c\r\n')

  expect(items.map(({ urls, options }) => [...urls, options.output])).toEqual([
    ['http://h/a', 'b'],
    ['http://h/c', undefined],
  ])
})

test('parseInputList() keeps spaces within URLs and names, cuts those around them', () => {
  const { items } = parseInputList('http://h/a b \t\t http://h/a b\t http://h/c\n out= x y \n')

  expect(items[0]).toMatchObject({
    urls: ['http://h/a b', 'http://h/c'],
    options: { output: 'x y' },
  })
})

test.each<[options: string[], expected: object]>([
  [['split=8', 'max-connection-per-server=2'], { maxConnections: 4 }],
  [['split=3', 'max-connection-per-server=16'], { maxConnections: 3 }],
  [['split=8'], { maxConnections: 8 }],
  [['max-connection-per-server=16'], { maxConnections: 16 }],
  [['max-download-limit=500K'], { limitBytesPerSecond: 512_000 }],
  [['max-download-limit=2m'], { limitBytesPerSecond: 2_097_152 }],
  [['max-download-limit=7'], { limitBytesPerSecond: 7 }],
  [['max-download-limit=0'], { limitBytesPerSecond: undefined }],
  [['max-tries=3'], { maxRetries: 3 }],
  [['max-tries=0'], { maxRetries: Number.POSITIVE_INFINITY }],
  [['timeout=60', 'connect-timeout=5'], { timeoutMs: 60_000, connectTimeoutMs: 5000 }],
  [['retry-wait=5'], { retryDelayMs: 5000 }],
  [['retry-wait=0'], { retryDelayMs: undefined }],
  [['allow-overwrite=true', 'auto-file-renaming=true'], { onExists: 'overwrite' }],
  [['allow-overwrite=false', 'auto-file-renaming=true'], { onExists: 'rename' }],
  [['auto-file-renaming=false'], { onExists: 'fail' }],
  [['allow-overwrite=false'], { onExists: undefined }],
  [['conditional-get=true', 'remote-time=true'], { ifNewer: true, remoteTime: true }],
  [['continue=true'], {}],
  [['out=a', 'out=b'], { output: 'b' }],
  [['no-proxy=h, i'], { noProxy: 'h, i' }],
  [['http-user=me', 'http-passwd=s=e'], { credentials: { username: 'me', password: 's=e' } }],
  [['http-user=me'], { credentials: { username: 'me', password: '' } }],
  [['http-passwd=s'], { credentials: { username: '', password: 's' } }],
  [['all-proxy=p:8080'], { proxies: { http: 'http://p:8080/', https: 'http://p:8080/' } }],
  [['all-proxy='], { proxies: { http: false, https: false } }],
  [
    [
      'all-proxy=http://p:1',
      'https-proxy=http://me@q:2/',
      'all-proxy-user=u',
      'all-proxy-passwd=a b',
    ],
    { proxies: { http: 'http://u:a%20b@p:1/', https: 'http://u:a%20b@q:2/' } },
  ],
  [
    ['http-proxy=p:1', 'http-proxy-user=u', 'http-proxy-passwd=x'],
    { proxies: { http: 'http://u:x@p:1/', https: undefined } },
  ],
])('parseInputList() turns %j into options', (options, expected) => {
  expect(parseItem(options).options).toMatchObject(expected)
})

test('parseInputList() gathers fields', () => {
  const options = ['header=X-A: 1', 'referer=*', 'header=Cookie:a=b; c=d', 'user-agent=me/1']

  expect(parseItem(options).options.headers).toEqual([
    ['X-A', '1'],
    ['Cookie', 'a=b; c=d'],
    ['Referer', 'http://h/one'],
    ['User-Agent', 'me/1'],
  ])
  expect(parseItem(['referer=http://r/']).options.headers).toEqual([['Referer', 'http://r/']])
})

test('parseInputList() reads a session of aria2 and tells once what has no effect', () => {
  const session = ['http://h/a', ' gid=1', ' dir=/d', ' pause=true', 'http://h/b', ' gid=2'].join(
    '\n',
  )

  const { items, warnings } = parseInputList(session, { name: 'aria2.session' })

  expect(items.map(({ options }) => options.dir)).toEqual(['/d', undefined])
  expect(warnings).toEqual([
    'aria2.session, line 2: the option gid has no effect',
    'aria2.session, line 4: the option pause has no effect',
  ])
})

test('parseInputList() expands patterns where it is asked to', () => {
  const list =
    'http://{a,b}.example/[1-2]\n referer=*\nhttp://c/[1-2]\thttp://d/\n parameterized-uri=false\n'
  const urls = (expand: 'mirrors' | 'files'): (readonly string[])[] =>
    parseInputList(list, { expand }).items.map((item) => item.urls)
  const expanded = ['a', 'b'].flatMap((host) =>
    [1, 2].map((page) => `http://${host}.example/${page}`),
  )

  expect(urls('mirrors')).toEqual([expanded, ['http://c/[1-2]', 'http://d/']])
  expect(urls('files')).toEqual([...expanded.map((url) => [url]), ['http://c/[1-2]', 'http://d/']])
  expect(parseInputList('http://{a,b}/\n parameterized-uri=true').items[0]?.urls).toEqual([
    'http://a/',
    'http://b/',
  ])
  expect(
    parseInputList(list, { expand: 'files' }).items.map(({ options }) => options.headers[0]?.[1]),
  ).toEqual([...expanded, undefined])
})

test.each<[what: string, text: string, reason: string]>([
  ['an option before any URL', '\n out=a', 'line 2: an option stands before the first URL'],
  ['a line without =', 'http://h/\n out', 'line 2: expected NAME=VALUE'],
  ['an unknown option', 'http://h/\n outt=a', 'line 2: unknown option "outt"'],
  ['a name in capitals', 'http://h/\n OUT=a', 'line 2: unknown option "OUT"'],
  ['another scheme', 'http://h/\nmagnet:?xt=1', 'line 2: Cannot fetch a magnet: URL'],
  ['what is no URL', 'a.torrent', 'line 1: Cannot use "a.torrent" as a URL'],
  ['a broken pattern', 'http://h/{a\n parameterized-uri=true', 'line 1: Cannot expand the URL'],
  ['a boolean that is none', 'http://h/\n remote-time=1', 'line 2: remote-time: expected true or'],
  ['a rate that is none', 'http://h/\n max-download-limit=1.5M', 'line 2: max-download-limit: exp'],
  ['no connections', 'http://h/\n split=0', 'line 2: split: expected a whole number from 1'],
  [
    'a count that is none',
    'http://h/\n max-tries=-1',
    'line 2: max-tries: expected a whole number',
  ],
  ['no time', 'http://h/\n timeout=0', 'line 2: timeout: expected seconds, from 1'],
  ['a field without colon', 'http://h/\n header=a', 'line 2: header: expected NAME: VALUE'],
  ['a field without name', 'http://h/\n header=: a', 'line 2: header: expected NAME: VALUE'],
  ['a checksum that is none', 'http://h/\n checksum=sha-1=abc', 'line 2: checksum: Cannot use the'],
  ['a checksum of a kind unknown', 'http://h/\n checksum=adler32=00000000', 'line 2: checksum: '],
  [
    'a proxy that is none',
    'http://h/\n all-proxy=http://',
    'line 2: all-proxy: expected HOST:PORT',
  ],
])('parseInputList() refuses %s', (_what, text, reason) => {
  expect(() => parseInputList(text)).toThrow(ConfigError)
  expect(() => parseInputList(text, { name: 'urls.txt' })).toThrow(`Cannot use urls.txt, ${reason}`)
})

test('parseInputList() shows no secrets in its messages', () => {
  const secret = 's3cret\x01'
  for (const option of ['header=A: ', 'header=', 'referer=', 'all-proxy=http://:', 'timeout=']) {
    expect(() => parseItem([option + secret])).toThrow(/^((?!s3cret).)*$/s)
  }
  expect(() => parseInputList('ftp://me:s3cret@h/')).toThrow(/^((?!s3cret).)*$/s)
})

test('parseInputList() reads what was written', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  const item = fc.record({
    paths: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
    output: word,
    headers: fc.array(fc.tuple(word, word), { maxLength: 3 }),
  })
  const gap = fc.constantFrom('', '# x\n', '\n', '  # x\n', ' \t\n')
  fc.assert(
    fc.property(fc.array(item), gap, fc.constantFrom('\n', '\r\n'), (written, between, end) => {
      const text = written
        .map(({ paths, output, headers }) =>
          [
            paths.map((path) => `http://h/${path}`).join('\t'),
            ...headers.map(([name, value]) => ` header=${name}: ${value}`),
            `\tout=${output}`,
          ].join(`\n${between}`),
        )
        .join('\n')
        .replaceAll('\n', end)

      const { items } = parseInputList(text)

      expect(
        items.map(({ urls, options: { output, headers } }) => ({
          paths: urls.map((url) => url.replace('http://h/', '')),
          output,
          headers,
        })),
      ).toEqual(written)
    }),
  )
})

function parseItem(options: readonly string[]): InputItem {
  const text = ['http://h/one\thttp://h/two', ...options.map((option) => ` ${option}`)].join('\n')
  return parseInputList(text).items[0] as InputItem
}
