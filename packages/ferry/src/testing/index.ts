/**
 * What tests of programs that use Ferry need: a network in memory, a clock moved by hand, and a
 * server that fails in the ways that servers do.
 */
export { MemoryBackend, MemoryStream } from '../net/memory-backend.ts'
export { FakeClock } from './fake-clock.ts'
export { FaultServer, type FaultServerStart } from './fault-server.ts'
export type { Fault, FaultServerOptions, LoggedRequest } from './fault-server-answer.ts'
