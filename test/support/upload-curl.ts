/** Runs curl against a server for uploads, and tells every head that it got, interim ones included. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { requireTool } from './tools.ts'

/** How curl ended, and every head that it got. */
export interface CurlExit {
  readonly exitCode: number
  readonly heads: readonly { readonly status: number; readonly fields: Headers }[]
}

/** Runs curl with fields, and with content from its standard input. */
export async function curl(
  url: string,
  {
    args = [],
    fields = [],
    content,
  }: {
    readonly args?: readonly string[]
    readonly fields?: readonly string[]
    readonly content?: Buffer
  },
): Promise<CurlExit> {
  const own = ['-q', '--noproxy', '*', '-sS', '-D', '-', '-o', '/dev/null']
  const child = spawn(requireTool('curl'), [
    ...own,
    ...args,
    ...fields.flatMap((field) => ['-H', field]),
    url,
  ])
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (part: string) => (text += part))
  // It may end before it has read everything.
  child.stdin.on('error', () => {})
  child.stdin.end(content)
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, heads: parseHeads(text) }
}

/** Reads what `-D -` has written. */
export function parseHeads(text: string): CurlExit['heads'] {
  return text
    .split('\r\n\r\n')
    .filter((head) => head.startsWith('HTTP/'))
    .map((head) => {
      const [line = '', ...lines] = head.split('\r\n')
      const fields = lines.map((field) => field.split(': ', 2) as [string, string])
      return { status: Number(line.split(' ')[1]), fields: new Headers(fields) }
    })
}
