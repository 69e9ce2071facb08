import { expect, test } from 'vitest'
import { LocalProtocolError, RemoteProtocolError } from '../errors.ts'
import { Socks5Client, type Socks5Request } from './socks5.ts'

const TARGET: Socks5Request = { host: 'example.org', port: 443 }
const LOGIN = { username: 'us\u00e9r', password: 'pass' }

/** Runs a negotiation on the proxy's bytes in these pieces: what was sent, how it ended, what is left. */
function run(request: Socks5Request, pieces: readonly Uint8Array[]): string[] {
  const client = new Socks5Client(request)
  const log = [`send ${hex(client.greeting())}`]
  let pending: Uint8Array = new Uint8Array()
  for (const piece of pieces) {
    pending = Uint8Array.from([...pending, ...piece])
    for (let going = client.state !== 'open'; going;) {
      const progress = client.push(pending)
      going = progress.type === 'send'
      if (progress.type === 'send') log.push(`send ${hex(progress.bytes)}`)
      if (progress.type === 'open') log.push('open')
      if (progress.type === 'refused') return [...log, `refused ${progress.refusal.reason}`]
      if ('taken' in progress) pending = pending.subarray(progress.taken)
    }
  }
  return [...log, `left ${hex(pending)}`]
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

const CONNECT_NAME = '05010003 0b6578616d706c652e6f7267 01bb'.replaceAll(' ', '')
const ROWS: readonly (readonly [string, Socks5Request, string, readonly string[]])[] = [
  [
    'no authentication, bound to IPv4',
    TARGET,
    '0500 05000001 7f000001 1234',
    ['send 050100', `send ${CONNECT_NAME}`, 'open'],
  ],
  [
    'no authentication, bound to IPv6',
    TARGET,
    '0500 05000004 00000000000000000000000000000001 1234',
    ['send 050100', `send ${CONNECT_NAME}`, 'open'],
  ],
  [
    'no authentication, bound to a name',
    TARGET,
    '0500 05000003 0261623456',
    ['send 050100', `send ${CONNECT_NAME}`, 'open'],
  ],
  [
    'user name and password',
    { ...TARGET, credentials: LOGIN },
    '0502 0100 05000001 000000000000',
    ['send 05020002', 'send 01057573c3a9720470617373', `send ${CONNECT_NAME}`, 'open'],
  ],
  [
    'credentials that are not asked for',
    { ...TARGET, credentials: LOGIN },
    '0500 05000001 000000000000',
    ['send 05020002', `send ${CONNECT_NAME}`, 'open'],
  ],
]

test.each(ROWS)(
  'Socks5Client negotiates %s, however the bytes are split',
  (_, request, text, log) => {
    const whole = bytes(text)

    expect(run(request, [whole])).toEqual([...log, 'left '])
    expect(run(request, [Uint8Array.from([...whole, 0xab, 0xcd])])).toEqual([...log, 'left abcd'])
    expect(
      run(
        request,
        [...whole].map((byte) => Uint8Array.of(byte)),
      ),
    ).toEqual([...log, 'left '])
    for (let at = 0; at <= whole.length; at++) {
      expect(run(request, [whole.subarray(0, at), whole.subarray(at)])).toEqual([...log, 'left '])
    }
  },
)

test.each([
  ['192.0.2.255', '01 c00002ff'],
  ['2001:db8::1', '04 20010db8000000000000000000000001'],
  ['::', '04 00000000000000000000000000000000'],
  ['::ffff:192.0.2.1', '04 00000000000000000000ffffc0000201'],
  ['1:2:3:4:5:6:7:8', '04 00010002000300040005000600070008'],
  ['fe80::', '04 fe800000000000000000000000000000'],
  ['256.1.1.1', '03 09 3235362e312e312e31'],
  ['01.2.3.4', '03 08 30312e322e332e34'],
])('Socks5Client asks for %s as %s', (host, encoded) => {
  const log = run({ host, port: 80 }, [Uint8Array.of(5, 0)])

  expect(log[1]).toBe(`send 050100${encoded.replaceAll(' ', '')}0050`)
})

test('Socks5Client asks for a name of 255 bytes and for no longer one', () => {
  const longest = 'a'.repeat(255)

  expect(run({ host: longest, port: 80 }, [Uint8Array.of(5, 0)])[1]).toContain(
    '050100 03ff'.replace(' ', ''),
  )
  expect(() => new Socks5Client({ host: `${longest}a`, port: 80 })).toThrow(LocalProtocolError)
})

test.each([
  { host: '', port: 80 },
  { host: 'a', port: -1 },
  { host: 'a', port: 65_536 },
  { host: '1:2', port: 80 },
  { host: '1::2::3', port: 80 },
  { host: '1:2:3:4:5:6:7:8::', port: 80 },
  { host: '1:2:3:4:5:6:7:89abc', port: 80 },
  { host: 'fe80::1%eth0', port: 80 },
  { host: 'a', port: 80, credentials: { username: '', password: 'x' } },
  { host: 'a', port: 80, credentials: { username: 'x'.repeat(256), password: '' } },
])('Socks5Client refuses to ask for %j', (request) => {
  expect(() => new Socks5Client(request)).toThrow(LocalProtocolError)
})

test.each([
  [1, 'the proxy failed'],
  [2, 'the rules of the proxy forbid it'],
  [3, 'network unreachable'],
  [4, 'host unreachable'],
  [5, 'connection refused'],
  [6, 'the time to live expired'],
  [7, 'the proxy cannot connect'],
  [8, 'the proxy does not know this type of address'],
  [99, 'the proxy failed with code 99'],
])('Socks5Client tells reply %i in words', (code, words) => {
  const log = run(TARGET, [Uint8Array.of(5, 0), Uint8Array.of(5, code)])

  expect(log.at(-1)).toBe(`refused ${words}`)
})

test('Socks5Client tells that the proxy wants credentials, or others', () => {
  expect(run(TARGET, [bytes('05ff')]).at(-1)).toBe('refused the proxy wants credentials')
  expect(run({ ...TARGET, credentials: LOGIN }, [bytes('05ff')]).at(-1)).toBe(
    'refused the proxy wants other credentials',
  )
  expect(run({ ...TARGET, credentials: LOGIN }, [bytes('0502 0101')]).at(-1)).toBe(
    'refused the proxy wants other credentials',
  )
})

test.each([
  ['another version', '04'],
  ['HTTP', '48545450'],
  ['a method that was not offered', '0502'],
  ['another version of the reply', '0500 04'],
  ['a reserved byte', '0500 050001'],
  ['an unknown type of address', '0500 05000002'],
])('Socks5Client does not take %s', (_, text) => {
  expect(() => run(TARGET, [bytes(text)])).toThrow(RemoteProtocolError)
})

test('Socks5Client does not take another version of the password status', () => {
  expect(() => run({ ...TARGET, credentials: LOGIN }, [bytes('0502 0500')])).toThrow(
    RemoteProtocolError,
  )
})

test('Socks5Client takes nothing after its end', () => {
  const client = new Socks5Client(TARGET)
  client.push(bytes('05ff'))

  expect(() => client.push(bytes('00'))).toThrow('Cannot take bytes while in state refused')
})
