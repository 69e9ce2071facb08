/** What tests of programs that use Ferry need: a network in memory, and a clock moved by hand. */
export { MemoryBackend, MemoryStream } from '../net/memory-backend.ts'
export { FakeClock } from './fake-clock.ts'
