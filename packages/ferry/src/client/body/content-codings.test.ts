import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { ACCEPT_ENCODING, type CodingPlan, planDecoding } from './content-codings.ts'

const decode = (...codings: string[]): CodingPlan => ({ type: 'decode', codings }) as CodingPlan
const refuse = (reason: string): CodingPlan => ({ type: 'refuse', reason })

test.each<[string[], CodingPlan | undefined]>([
  [[], undefined],
  [[''], undefined],
  [['identity'], undefined],
  [['Identity, identity'], undefined],
  [['gzip'], decode('gzip')],
  [['GZip'], decode('gzip')],
  [['x-gzip'], decode('gzip')],
  [['deflate'], decode('deflate')],
  [['br'], decode('br')],
  [['zstd'], decode('zstd')],
  [['deflate, gzip'], decode('deflate', 'gzip')],
  [['deflate', 'gzip'], decode('deflate', 'gzip')],
  [[' ,gzip ,, identity,\tbr '], decode('gzip', 'br')],
  [['gzip, gzip, gzip, gzip, gzip'], decode('gzip', 'gzip', 'gzip', 'gzip', 'gzip')],
  [['gzip, gzip, gzip, gzip, gzip, gzip'], refuse('6 content codings, more than 5')],
  [['compress'], refuse('content coding "compress" is unknown')],
  [['gzip, aws-chunked'], refuse('content coding "aws-chunked" is unknown')],
  [['gzip;q=1'], refuse('content coding "gzip;q=1" is unknown')],
  [['"gzip"'], refuse('content coding "\\"gzip\\"" is unknown')],
])('planDecoding() of %j', (values, plan) => {
  const headers = HeaderFields.from(values.map((value) => ['Content-Encoding', value] as const))

  expect(planDecoding(headers)).toEqual(plan)
})

test('everything in Accept-Encoding can be decoded', () => {
  for (const coding of ACCEPT_ENCODING.split(', ')) {
    expect(planDecoding(HeaderFields.from({ 'content-encoding': coding }))).toEqual(decode(coding))
  }
})
