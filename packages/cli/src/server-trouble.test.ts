import {
  ConfigError,
  ConnectError,
  HttpStatusError,
  TimeoutError,
  TransferError,
} from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import type { UploadResult } from 'ferry/upload'
import { expect, test } from 'vitest'
import { isTrouble, ServerTrouble } from './server-trouble.ts'
import type { SendJob } from './send-run.ts'

function status(code: number): HttpStatusError {
  return new HttpStatusError('Cannot send', { status: code, statusText: '', headers: [] })
}

test.each([
  ['a server that lets nobody in', status(401), true],
  ['a proxy that does not', status(407), true],
  ['a server that refuses one file', status(413), false],
  ['a file that has changed', new TransferError('source-changed', 'Cannot'), false],
  ['a server that answers no knock', new TimeoutError('connect', 1, 'Cannot'), true],
  ['a server that stands still', new TimeoutError('body', 1, 'Cannot'), false],
  ['a URL that takes no uploads', new ConfigError('protocol', 'Cannot'), true],
  ['a key that nobody gave', new ConfigError('key', 'Cannot'), true],
  ['a path that cannot be used', new ConfigError('path', 'Cannot'), false],
  ['what is no error of ours', new Error('Cannot'), false],
])('isTrouble() of %s', (_, error, isMeant) => {
  expect(isTrouble(error)).toBe(isMeant)
})

test('ServerTrouble spares a URL that takes no uploads further files, but not its neighbour', async () => {
  const error = new ConfigError('protocol', 'Cannot tell how it takes uploads')
  const trouble = new ServerTrouble()
  const tried: string[] = []
  for (const path of ['x', 'x', 'y']) {
    const job = trouble.guard({
      name: path,
      url: HttpUrl.parse(`http://a/${path}`),
      goOn: '',
      send: (): Promise<UploadResult> => {
        tried.push(path)
        return Promise.reject(error)
      },
    })
    await expect(job.send({}, () => {})).rejects.toBe(error)
    await job.afterFailure?.(error)
  }

  expect(tried).toEqual(['x', 'y'])
})

test('ServerTrouble spares further files a server that could not be reached, and no other', async () => {
  const error = new ConnectError('connect', 'Cannot connect')
  const tried: string[] = []
  const trouble = new ServerTrouble()
  const jobFor = (name: string, url: string): SendJob =>
    trouble.guard({
      name,
      url: HttpUrl.parse(url),
      goOn: '',
      send: (): Promise<UploadResult> => {
        tried.push(name)
        return Promise.reject(error)
      },
    })
  const run = async (job: SendJob): Promise<unknown> => {
    const failure = await job.send({}, () => {}).catch((caught: unknown) => caught)
    await job.afterFailure?.(failure as Error)
    return failure
  }

  const failures = [
    await run(jobFor('first', 'http://a/x')),
    await run(jobFor('second', 'http://a/y')),
    await run(jobFor('elsewhere', 'http://b/')),
  ]

  expect(tried).toEqual(['first', 'elsewhere'])
  expect(failures).toEqual([error, error, error])
})
