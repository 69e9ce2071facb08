/** The transfer of one large file over TLS. */
import type { BenchOptions } from './support.ts'
import { benchTransfer } from './transfer.ts'

/** Measures a file of 1 GiB over TLS; resolves with a table. */
export function benchTls(options: BenchOptions): Promise<string> {
  return benchTransfer({ ...options, tls: true })
}
