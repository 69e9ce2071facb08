import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatRecord, parseRecords } from './record-log.ts'

const RECORDS = [{ type: 'a', text: 'käse\n' }, { type: 'b', spans: [[0, 5]] }, {}]
const TEXT = RECORDS.map(formatRecord).join('')

test('parseRecords() reads what formatRecord() writes', () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), (records) => {
      const plain = JSON.parse(JSON.stringify(records)) as unknown

      expect(parseRecords(records.map(formatRecord).join(''))).toEqual(plain)
    }),
  )
})

test('parseRecords() drops a torn tail, wherever it was torn', () => {
  const bytes = Buffer.from(TEXT)
  for (let length = 0; length <= bytes.length; length++) {
    const text = bytes.subarray(0, length).toString('utf8')
    const whole = text.split('\n').length - 1

    expect(parseRecords(text)).toEqual(RECORDS.slice(0, whole))
  }
})

test('parseRecords() stops at a line of which any character has changed', () => {
  const lines = RECORDS.map(formatRecord)
  const second = lines[1] as string
  for (let at = 0; at < second.length; at++) {
    const garbled = `${second.slice(0, at)}~${second.slice(at + 1)}`

    expect(parseRecords([lines[0], garbled, lines[2]].join(''))).toEqual(RECORDS.slice(0, 1))
  }
})

test.each(['', '\n', 'no log', 'no log\n', '00000000 \n', '{}\n', '\0'.repeat(100)])(
  'parseRecords() finds nothing in %j',
  (text) => {
    expect(parseRecords(text)).toEqual([])
  },
)
