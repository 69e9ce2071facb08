/** Starts http2-origin-main.ts as a process of its own, so that its memory and time are not ours. */
import { fileURLToPath } from 'node:url'
import type { Http2Options } from './http2-options.ts'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'

/** Starts the server of node:http2. */
export async function startHttp2Origin(
  site: Site,
  { maxConcurrentStreams }: Http2Options,
): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'node:http2',
    path: process.execPath,
    portCount: 2,
    configure: (_folder, ports) =>
      Promise.resolve([
        fileURLToPath(new URL('./http2-origin-main.ts', import.meta.url)),
        ...ports.map(String),
        site.root,
        site.tls.key,
        site.tls.cert,
        String(maxConcurrentStreams),
      ]),
  })
  return new OriginServer(server)
}
