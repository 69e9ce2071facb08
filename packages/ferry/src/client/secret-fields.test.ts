import { expect, test } from 'vitest'
import { isSecretField } from './secret-fields.ts'

test.each(['Authorization', 'proxy-authorization', 'Cookie', 'Set-Cookie', 'X-Api-Key', 'X_Auth'])(
  'isSecretField() knows %s',
  (name) => {
    expect(isSecretField(name)).toBe(true)
  },
)

test.each(['X-CSRFToken', 'X-Signature', 'Client-Secret', 'X-Passwd', 'Session'])(
  'isSecretField() suspects %s',
  (name) => {
    expect(isSecretField(name)).toBe(true)
  },
)

test.each(['Accept', 'Keep-Alive', 'X-Keyboard', 'Author', 'Content-Type'])(
  'isSecretField() leaves %s alone',
  (name) => {
    expect(isSecretField(name)).toBe(false)
  },
)
