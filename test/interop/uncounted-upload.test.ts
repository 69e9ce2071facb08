/** Uploads over what cannot tell how much of a request has been sent, as in a browser. */
import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { HttpClient } from '../../packages/ferry/src/client/http-client.ts'
import { systemClock } from '../../packages/ferry/src/clock.ts'
import { RateLimit } from '../../packages/ferry/src/transfer/rate-limit.ts'
import { HttpUrl } from '../../packages/ferry/src/transport/http-url.ts'
import { ClientWire } from '../../packages/ferry/src/upload/client-wire.ts'
import { MemorySource } from '../../packages/ferry/src/upload/memory-source.ts'
import { Upload } from '../../packages/ferry/src/upload/upload-handle.ts'
import type { UploadWire } from '../../packages/ferry/src/upload/upload-wire.ts'
import { SendingSite } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'

const CONTENT = randomBytes(3_000_000)
const PIECE_BYTES = 1_000_000

test.for(['tus', 'ietf', 'indexedcp'] as const)(
  'by %s what has arrived uncounted is believed, and no request is larger than it should be',
  async (protocol) => {
    await using site = await SendingSite.open()
    site.proxy.faults.push({ afterBytes: 1_500_000, lose: 'request' })
    await using client = new HttpClient()
    const limit = new RateLimit()
    const counting = new ClientWire({ client, limit, clock: systemClock })
    const sizes: number[] = []
    const wire: UploadWire = {
      countsSent: false,
      maxContentBytes: PIECE_BYTES,
      send(request) {
        sizes.push(request.content?.length ?? 0)
        return counting.send({ ...request, onSent: () => {} })
      },
    }
    const source = new MemorySource(CONTENT, { name: 'a.bin' })
    const upload = new Upload(
      HttpUrl.parse(site.urlFor(protocol)),
      {
        openSource: () => Promise.resolve(source),
        ownsSource: true,
        wire,
        closeWire: () => Promise.resolve(),
        limit,
        createHash,
      },
      // One at a time, so that each kind of server has some of a request when it breaks.
      { protocol, retryDelayMs: 5, parallel: 1 },
    )

    await upload.result

    expect(await site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
    expect(Math.max(...sizes)).toBe(PIECE_BYTES)
    expect(site.proxy.faults).toEqual([])
  },
)
