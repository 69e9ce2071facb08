import { expect, onTestFinished, test, vi } from 'vitest'
import { ApiKey } from './api-key.ts'
import type { CredentialProvider } from './upload-http.ts'

/** A key, and how often somebody was asked for it. */
function askedKey(value?: string): { readonly key: ApiKey; readonly asked: () => number } {
  let asked = 0
  vi.stubEnv('INDEXCP_API_KEY', '')
  onTestFinished(() => void vi.unstubAllEnvs())
  return { key: new ApiKey(value, () => Promise.resolve(`typed ${++asked}`)), asked: () => asked }
}

async function ask(provide: CredentialProvider, refused: boolean): Promise<unknown> {
  return await provide({ url: 'http://h/upload', refused })
}

test('ApiKey takes what is set, then the environment, then asks once', async () => {
  const { key, asked } = askedKey('set')
  expect(await key.get()).toBe('set')

  key.value = undefined
  vi.stubEnv('INDEXCP_API_KEY', 'from the environment')
  expect([key.known, await key.get()]).toEqual(['from the environment', 'from the environment'])

  vi.stubEnv('INDEXCP_API_KEY', '')
  expect(key.known).toBeUndefined()
  expect(await Promise.all([key.get(), key.get()])).toEqual(['typed 1', 'typed 1'])
  expect([await key.get(), key.value, asked()]).toEqual(['typed 1', 'typed 1', 1])
})

test('ApiKey asks again when what was typed is refused, once for all uploads', async () => {
  const { key, asked } = askedKey()
  const [one, other] = [key.provide(), key.provide()]
  const first = { Authorization: 'Bearer typed 1' }
  const second = { Authorization: 'Bearer typed 2' }
  expect([await ask(one, false), await ask(other, false)]).toEqual([first, first])

  // Both have sent the first one.
  expect([await ask(one, true), await ask(other, true)]).toEqual([second, second])
  expect(asked()).toBe(2)
})

test('ApiKey asks again once what was typed is forgotten; what was set stays', async () => {
  const { key, asked } = askedKey('set')
  key.forgetTyped()
  expect(await key.get()).toBe('set')

  key.value = undefined
  await key.get()
  key.forgetTyped()

  expect([await key.get(), asked()]).toEqual(['typed 2', 2])
})

test('ApiKey asks nobody when what was set is refused, and takes what was set since', async () => {
  const { key, asked } = askedKey('wrong')
  const provide = key.provide()
  await ask(provide, false)

  expect(await ask(provide, true)).toEqual({ Authorization: 'Bearer wrong' })
  key.value = 'right'
  expect(await ask(provide, true)).toEqual({ Authorization: 'Bearer right' })
  expect(asked()).toBe(0)
})
