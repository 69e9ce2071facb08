/** How the soak tells that a response, or an error, is the one that it must be. */
import type { HttpResponse } from 'ferry/transport'
import { contentOf, digestOf } from './soak-content.ts'

/** Waits for an error, and throws any other, or that there was none. */
export async function expectFailure(
  run: Promise<unknown>,
  isExpected: (error: unknown) => boolean,
): Promise<void> {
  try {
    await run
  } catch (error) {
    if (isExpected(error)) return
    throw error
  }
  throw new Error('It succeeded, and must not')
}

/** The length is what the URL ends with. */
export async function expectContent({ status, body }: HttpResponse, url: string): Promise<void> {
  if (status !== 200) throw new Error(`Expected 200, got ${status}`)
  expectSame(await body.bytes(), Number(/(\d+)(?:\.bin)?$/.exec(url)?.[1]))
}

export function expectSame(content: Uint8Array, length: number): void {
  expectEqualBytes(content, contentOf(length))
}

export function expectEqualBytes(content: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(content, expected) === 0) return
  throw new Error(`Wrong content: ${content.length} of ${expected.length} bytes, or others`)
}

export async function expectEcho({ status, body }: HttpResponse, sent: Uint8Array): Promise<void> {
  const answer = (await body.bytes()).toString()
  if (status === 200 && answer === `${sent.length} ${digestOf(sent)}`) return
  throw new Error(`Upload of ${sent.length} bytes was answered with ${status}: ${answer}`)
}
