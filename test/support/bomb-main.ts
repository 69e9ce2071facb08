/** A process of its own for a client that may eat memory: asks for a URL, and prints what came of it. */
import { codeOf, type ColumnName, COLUMNS } from './behaviour-clients.ts'

const [name, url, advised] = process.argv.slice(2) as [ColumnName, string, string | undefined]
const column = COLUMNS.find((one) => one.name === name)
if (column === undefined) throw new Error(`no column ${name}`)
const client =
  advised === undefined ? column.create('bomb') : column.createAdvised?.('bomb')?.client
try {
  const reply = await client?.send({ method: 'GET', url })
  console.log(`${reply?.status} with ${Math.round((reply?.text.length ?? 0) / 1_048_576)} MiB`)
} catch (error) {
  console.log(codeOf(error))
}
process.exit()
