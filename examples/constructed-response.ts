/** Makes responses without a server: for tests, caches, and code that stands between. */
import { createResponseStream, HttpResponse, type StreamProgress } from 'ferry/transport'

const response = HttpResponse.create({
  status: 200,
  statusText: 'OK',
  headers: { 'Content-Type': 'text/plain' },
  body: 'from the cache',
  url: 'https://example.org/greeting',
})
const marked = response.withHeader('X-Cache', 'hit')
console.log(`${marked.status} ${marked.statusText}, X-Cache: ${marked.headers.get('x-cache')}`)
console.log((await marked.body.bytes()).toString())

// A body can come piece by piece, and be watched by whoever passes it on.
async function* generatePieces(): AsyncGenerator<Uint8Array> {
  for (const text of ['first, ', 'second, ', 'third']) {
    await Promise.resolve()
    yield Buffer.from(text)
  }
}
const onProgress = ({ bytes }: StreamProgress): void => console.log(`${bytes} bytes passed`)
const streamed = HttpResponse.create({ status: 200, body: generatePieces() })
const watched = streamed.withBody(createResponseStream(streamed.body, { onProgress }))
console.log((await watched.body.bytes()).toString())

// What no server could send is refused.
try {
  HttpResponse.create({ status: 204, body: 'content' })
} catch (error) {
  console.log(String(error))
}
