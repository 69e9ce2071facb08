import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { Access, type AskedRequest, type RequestLimits, scopeOf } from './access.ts'
import { type ApiKey, hashKey, KeyRing } from './keys.ts'

const ASKED: AskedRequest = {
  method: 'POST',
  headers: {},
  address: '10.0.0.1',
  path: '/upload',
  door: 'indexedcp',
  isPublic: false,
}

class Gate {
  readonly clock = new FakeClock()
  readonly #access: Access

  constructor(limits: RequestLimits = {}, keys: readonly ApiKey[] = [key('ann')]) {
    const ring = keys.length === 0 ? undefined : new KeyRing(keys)
    this.#access = new Access({ keys: ring, limits, clock: this.clock })
  }

  /** The owner, or status and seconds to wait. */
  ask(text: string | undefined, more: Partial<AskedRequest> = {}): string {
    const headers = text === undefined ? {} : { authorization: `Bearer ${text}` }
    const asked = { ...ASKED, ...more, headers: { ...headers, ...more.headers } }
    const admission = this.#access.admit(asked)
    if (admission.type === 'admitted') return admission.owner ?? 'anybody'
    const { status, fields } = admission.answer
    return [status, fields['Retry-After']].filter((part) => part !== undefined).join(' ')
  }
}

/** A key of the owner's name. */
function key(owner: string, more: Partial<ApiKey> = {}): ApiKey {
  return { owner, sha256: hashKey(owner), ...more }
}

test('Access lets everybody in where there are no keys, and keys in where there are', () => {
  expect(new Gate({}, []).ask(undefined)).toBe('anybody')
  const gate = new Gate({}, [key('ann'), key('bob')])

  expect([gate.ask('ann'), gate.ask('bob'), gate.ask('eve'), gate.ask(undefined)]).toEqual([
    'ann',
    'bob',
    '401',
    '401',
  ])
  expect(gate.ask(undefined, { isPublic: true })).toBe('anybody')
})

test('Access lets requests of an owner in as fast as the limit says, whatever others do', () => {
  const gate = new Gate({ requestsPerSecond: 2, burst: 3 }, [key('ann'), key('bob')])
  const asked = ['ann', 'ann', 'ann', 'ann', 'bob']

  expect(asked.map((owner) => gate.ask(owner))).toEqual(['ann', 'ann', 'ann', '429 1', 'bob'])
  gate.clock.advance(500)
  expect([gate.ask('ann'), gate.ask('ann')]).toEqual(['ann', '429 1'])
})

test('Access counts the requests of an address where there are no keys', () => {
  const gate = new Gate({ requestsPerSecond: 0.1 }, [])

  expect(gate.ask(undefined)).toBe('anybody')
  expect(gate.ask(undefined)).toBe('429 10')
  expect(gate.ask(undefined, { address: '10.0.0.2' })).toBe('anybody')
})

test('Access looks at no more keys from an address that has sent many wrong ones', () => {
  const gate = new Gate({ wrongKeysPerMinute: 3 }, [key('ann'), key('bob')])
  expect(gate.ask('ann')).toBe('ann')
  const wrong = Array.from({ length: 4 }, (_, n) => gate.ask(`wrong ${n}`.replace(' ', '')))

  expect(wrong).toEqual(['401', '401', '401', '429 20'])
  // Not even a right one, as it might be guessed; but whoever was in before stays in.
  expect(gate.ask('bob')).toBe('429 20')
  expect(gate.ask('ann')).toBe('ann')
  expect(gate.ask('bob', { address: '10.0.0.2' })).toBe('bob')
  gate.clock.advance(20_000)
  expect([gate.ask('bob'), gate.ask('wrong'), gate.ask('wrong')]).toEqual(['bob', '401', '429 20'])
})

test('Access does not count requests without a key as wrong ones', () => {
  const gate = new Gate({ wrongKeysPerMinute: 1 })

  expect([gate.ask(undefined), gate.ask(undefined), gate.ask('ann')]).toEqual(['401', '401', 'ann'])
})

test('Access lets a key do what its scopes say', () => {
  const gate = new Gate({}, [
    key('plain'),
    key('sender', { scopes: ['upload'] }),
    key('looker', { scopes: ['status'] }),
    key('boss', { scopes: ['admin', 'upload', 'status'] }),
  ])
  const requests: Partial<AskedRequest>[] = [
    {},
    { method: 'GET', path: '/upload/status' },
    { path: '/rotate-keys' },
    { method: 'HEAD', path: '/files/1', door: 'tus' },
    { method: 'DELETE', path: '/files/1', door: 'ietf' },
  ]
  const allowed = (owner: string): boolean[] =>
    requests.map((request) => gate.ask(owner, request) === owner)

  expect(allowed('plain')).toEqual([true, true, false, true, true])
  expect(allowed('sender')).toEqual([true, false, false, false, true])
  expect(allowed('looker')).toEqual([false, true, false, true, false])
  expect(allowed('boss')).toEqual([true, true, true, true, true])
  expect(gate.ask('looker')).toBe('403')
})

test('Access opens no other doors than a key is for, and what there is not is not forbidden', () => {
  const gate = new Gate({}, [key('ann', { doors: ['tus', 'ietf'] })])

  expect(gate.ask('ann', { door: 'tus', path: '/files' })).toBe('ann')
  expect(gate.ask('ann')).toBe('403')
  expect(gate.ask('ann', { door: undefined, path: '/none' })).toBe('ann')
})

test('scopeOf() takes a request of tus for what it says that it means, and no other', () => {
  const headers = { 'x-http-method-override': 'delete' }
  const request = { method: 'GET', path: '/files/1', headers, isPublic: false }

  expect(scopeOf({ ...request, door: 'tus' })).toBe('upload')
  expect(scopeOf({ ...request, door: 'ietf' })).toBe('status')
})

test.each([
  ['requestsPerSecond', 0],
  ['requestsPerSecond', Number.NaN],
  ['burst', -1],
  ['wrongKeysPerMinute', 0],
])('Access refuses a limit %s of %d', (option, value) => {
  expect(() => new Gate({ [option]: value })).toThrow(expect.objectContaining({ option }))
})
