/** Uploads beside the other routes of a fastify server. Needs no package of fastify's. */
import type { AnyRequest, AnyResponse } from './doors/http2-exchange.ts'
import { UPLOAD_ROUTES } from './upload-route.ts'
import type { UploadServer } from './upload-server.ts'

/** What is used of a fastify server. */
export interface FastifyScope {
  removeAllContentTypeParsers(): void
  addContentTypeParser(
    type: '*',
    parser: (request: unknown, payload: unknown, done: (error: null) => void) => void,
  ): unknown
  all(
    path: string,
    handler: (
      request: { readonly raw: AnyRequest },
      reply: { readonly raw: AnyResponse; hijack(): unknown },
    ) => Promise<void>,
  ): unknown
}

/**
 * A plugin for `fastify.register()`, with a `prefix` that is the mount of the upload server, or none.
 * Fastify's hooks run as for any route; it reads no content and sends no answer. The upload server
 * stays its owner's to close.
 *
 * @example A server with uploads below /api
 * const uploads = await UploadServer.open('received', { mount: '/api' })
 * const fastify = Fastify()
 * await fastify.register(fastifyUploads(uploads), { prefix: '/api' })
 */
export function fastifyUploads(
  uploads: UploadServer,
): (scope: FastifyScope, options: unknown, done: () => void) => void {
  return (scope, _options, done) => {
    // Within this scope only: the content goes to the doors as it comes, of whatever type it is.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    for (const path of UPLOAD_ROUTES) {
      scope.all(path, async (request, reply) => {
        reply.hijack()
        await uploads.handler(request.raw, reply.raw)
      })
    }
    done()
  }
}
