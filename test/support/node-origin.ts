/** Starts node-origin-main.ts as a process of its own, so that its memory and time are not ours. */
import { fileURLToPath } from 'node:url'
import { OriginServer } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'

/** Starts the server of node:http and node:https. */
export async function startNodeOrigin(site: {
  readonly root: string
  readonly tls: { readonly key: string; readonly cert: string }
}): Promise<OriginServer> {
  const server = await ServerProcess.start({
    name: 'node:http',
    path: process.execPath,
    portCount: 2,
    configure: (_folder, ports) =>
      Promise.resolve([
        fileURLToPath(new URL('./node-origin-main.ts', import.meta.url)),
        ...ports.map(String),
        site.root,
        site.tls.key,
        site.tls.cert,
      ]),
  })
  return new OriginServer(server)
}
