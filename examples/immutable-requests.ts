/** Requests never change: `with…` makes a changed copy, so that one can be the pattern of many. */
import { HttpRequest } from 'ferry/transport'

const pattern = new HttpRequest('GET', 'https://example.org/items?page=1', {
  headers: { Accept: 'application/json', 'X-Trace': 'a' },
})
const create = pattern
  .withMethod('POST')
  .withUrl('https://example.org/items')
  .withHeader('Content-Type', 'application/json')
  .withAddedHeader('X-Trace', 'b')
  .withContent(JSON.stringify({ name: 'ferry' }))

for (const { method, url, headers, content } of [pattern, create]) {
  console.log(`${method} ${url.target} on ${url.origin.host}, port ${url.origin.port}`)
  console.log(`  X-Trace: ${headers.get('x-trace')}`)
  console.log(`  content: ${content === undefined ? 'none' : `${content.length} bytes`}`)
}

try {
  ;(pattern as { method: string }).method = 'DELETE'
} catch (error) {
  console.log((error as Error).name)
}
try {
  pattern.withHeader('X-Trace', 'a\r\nX-Forged: yes')
} catch (error) {
  console.log(String(error))
}
