/** How values of options are read, whichever command they belong to. */
import { InvalidArgumentError } from 'commander'

/** For options that may stand there repeatedly. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** Reads whole numbers within limits, both inclusive. */
export function parseCount(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = Number(text)
    if (/^\d+$/.test(text) && count >= min && count <= max) return count
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

/** What of some settings says something: undefined leaves the default as it is. */
export function definedOf<Settings extends object>(
  settings: Settings,
): { [Name in keyof Settings]?: Exclude<Settings[Name], undefined> } {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as { [Name in keyof Settings]?: Exclude<Settings[Name], undefined> }
}
