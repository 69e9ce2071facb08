/**
 * A server for uploads as a process: `receive-server-main.ts FOLDER OPTIONS`, the options of
 * `UploadServer.open()` as JSON, without keys but `apiKey`. Prints its URL once it listens.
 */
import { KeyRing, UploadServer, type UploadFolderServerOptions } from 'ferry/receive'

const [folder = '', text = '{}'] = process.argv.slice(2)
const { apiKey, ...options } = JSON.parse(text) as UploadFolderServerOptions & { apiKey: string }
const server = await UploadServer.open(folder, { ...options, keys: KeyRing.of(apiKey) })
process.stdout.write(`${await server.listen()}\n`)
