import { expect, test } from 'vitest'
import { ConnectionFault, ErrorCode, nameOfErrorCode, StreamFault } from './error-code.ts'

test.each(Object.entries(ErrorCode))('nameOfErrorCode() finds %s for its number', (name, code) => {
  expect(nameOfErrorCode(code)).toBe(name)
})

test.each([14, 255, 2 ** 32 - 1])('nameOfErrorCode() gives %i as a number (§7)', (code) => {
  expect(nameOfErrorCode(code)).toBe(`code ${code}`)
})

test('a fault names its code, and says what happened', () => {
  const faults = [new ConnectionFault('CANCEL', 'why'), new StreamFault('CANCEL', 'why')]

  expect(faults.map(({ code, message }) => [code, message])).toEqual([
    ['CANCEL', 'why'],
    ['CANCEL', 'why'],
  ])
})
