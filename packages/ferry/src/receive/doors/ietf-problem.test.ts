import { expect, test } from 'vitest'
import { UploadError } from '../../errors.ts'
import { formatProblem } from './ietf-problem.ts'

test('formatProblem() says where an upload stands when requests have overtaken each other', () => {
  const detail = { expectedOffset: 5, providedOffset: 2 }
  const error = new UploadError('offset-mismatch', 'Cannot append', { detail })

  const { status, fields, body } = formatProblem(error, { 'Upload-Complete': '?0' })

  expect([status, fields]).toEqual([
    409,
    {
      'Upload-Offset': '5',
      'Upload-Complete': '?0',
      'Content-Type': 'application/problem+json',
    },
  ])
  expect(JSON.parse(body as string)).toEqual({
    type: 'https://iana.org/assignments/http-problem-types#mismatching-upload-offset',
    title: 'Conflict',
    status: 409,
    detail: 'Cannot append at 2: the upload stands at 5',
    'expected-offset': 5,
    'provided-offset': 2,
  })
})

test('formatProblem() has no type, and nothing of the server, for a failure of its own', () => {
  const { body } = formatProblem(new Error('Cannot open /secret/path'), {})

  expect(JSON.parse(body as string)).toEqual({
    title: 'Internal Server Error',
    status: 500,
    detail: 'Cannot take the upload: the server has failed',
  })
})
