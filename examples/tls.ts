/** Protects connections: an authority of our own, a certificate for us, and a pinned public key. */
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { ConnectError } from 'ferry/errors'
import { ConnectionPool, HttpRequest, type TlsOptions } from 'ferry/transport'
import { createCertificate } from './support/certificates.ts'

const ours = await createCertificate('DNS:client.example')
const theirs = await createCertificate('IP:127.0.0.1')

// The server wants to see the client's certificate.
const settings = { ...theirs, ca: ours.cert, requestCert: true, rejectUnauthorized: true }
await using server = createServer(settings, ({ socket }, response: ServerResponse) => {
  response.end((socket as TLSSocket).getPeerX509Certificate()?.subjectAltName)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const request = new HttpRequest(
  'GET',
  `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
)

const trusted: TlsOptions = { ca: theirs.cert, cert: ours.cert, key: ours.key }
await get('pinned', { ...trusted, minVersion: 'TLSv1.3', pins: [pinOf(theirs.cert)] })
await get('another pin', { ...trusted, pins: [pinOf(ours.cert)] })
await get('unknown authority', { cert: ours.cert, key: ours.key })
await get('another name', { ...trusted, serverName: 'files.example' })

async function get(name: string, tls: TlsOptions): Promise<void> {
  await using client = new ConnectionPool({ tls })
  try {
    const response = await client.request(request)
    const session = response.connection?.getExtraInfo('tls')
    const fingerprint = new X509Certificate(theirs.cert).fingerprint256
    const same = fingerprint.replaceAll(':', '').toLowerCase() === session?.certificateSha256
    console.log(`${name}: ${response.status}, seen as ${(await response.body.bytes()).toString()}`)
    console.log(`  ${session?.version}, ALPN ${session?.alpnProtocol}, resumed ${session?.resumed}`)
    console.log(`  authorized ${session?.authorized}, certificate as expected ${same}`)
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error
    console.log(`${name}: ${error.code}, ${String(error.detail['reason'])}`)
  }
}

/** What `curl --pinnedpubkey` takes: the SHA-256 of the SubjectPublicKeyInfo. */
function pinOf(cert: string): string {
  const key = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return `sha256//${createHash('sha256').update(key).digest('base64')}`
}
