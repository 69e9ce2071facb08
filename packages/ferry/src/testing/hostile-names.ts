/** Texts that somebody might send as the name of a file. */
import fc from 'fast-check'

/** Every file that Ferry keeps beside a target, and the one of aria2 that it reads. */
export const KEPT_BESIDE = ['.part', '.part.journal', '.part.journal.new', '.part.lock', '.aria2']

/** Texts that come near to every rule. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
      fc.constantFrom(
        ...['/', '\\', '..', '.', ' ', '\0', '\r\n', '\u202e', '\ud800', '\udc00', '\u0338', 'ä'],
        ...['CON', 'nul', 'COM1', 'com\u00b2', 'CONIN$', ' (1)', '.tar', '.gz', '.txt', '~', '-'],
        ...KEPT_BESIDE,
      ),
      fc.nat({ max: 220 }).map((length) => 'x'.repeat(length)),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(''))
